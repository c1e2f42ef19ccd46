"""One function per public set, reading its label files as their authors distribute them."""
