"""What every training has: the recipe that it is made from, and the folder that it leaves."""
