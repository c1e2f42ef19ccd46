"""A small ray tracer for spheres on a table: soft light, reflections, depth of field. Two scenes use it."""

from dataclasses import dataclass

import numpy as np
from light import HEIGHT, WIDTH, develop, lookup, mix, noise, sharpen, step

RAYS_PER_PIXEL = 24
LAMP = np.array([-3.2, 5.6, 2.2])
LAMP_SIZE = 1.3


@dataclass(frozen=True)
class Ball:
    """A sphere. Lengths in decimetres or whatever the scene likes; y is up and the table is y = 0."""

    centre: tuple[float, float, float]
    radius: float
    colour: tuple[float, float, float]
    gloss: float = 0.05
    """Share of light reflected like a mirror, seen from the front."""
    pattern: str = "plain"


def _unit(v):
    return v / np.linalg.norm(v, axis=-1, keepdims=True)


def _nearest(balls, origin, ray):
    """Distance to the first hit, and which ball it is; -1 is the table, -2 nothing."""
    with np.errstate(divide="ignore", invalid="ignore"):
        best = np.where(ray[:, 1] < -1e-6, -origin[:, 1] / ray[:, 1], np.inf)
    best = np.where(best > 1e-4, best, np.inf)
    which = np.where(np.isfinite(best), -1, -2)
    for i, ball in enumerate(balls):
        to = origin - np.array(ball.centre)
        b = (to * ray).sum(-1)
        inside = b * b - (to * to).sum(-1) + ball.radius**2
        hit = -b - np.sqrt(inside.clip(0))
        closer = (inside > 0) & (hit > 1e-3) & (hit < best)
        best, which = np.where(closer, hit, best), np.where(closer, i, which)
    return best, which


def _unshadowed(balls, point, lamp):
    """1 where the lamp is seen from `point`, 0 in shadow."""
    way = lamp - point
    far = np.linalg.norm(way, axis=-1)
    ray = way / far[:, None]
    clear = np.ones(len(point), bool)
    for ball in balls:
        to = point - np.array(ball.centre)
        b = (to * ray).sum(-1)
        inside = b * b - (to * to).sum(-1) + ball.radius**2
        clear &= ~((inside > 0) & (-b - np.sqrt(inside.clip(0)) > 1e-3))
    return clear.astype(float)


def _occlusion(balls, point, normal):
    """How much of the sky the balls leave open, in closed form for one ball at a time."""
    open_sky = np.ones(len(point))
    for ball in balls:
        to = np.array(ball.centre) - point
        far = np.linalg.norm(to, axis=-1).clip(ball.radius * 1.0001)
        facing = ((normal * to).sum(-1) / far).clip(0)
        open_sky *= 1 - facing * (ball.radius / far) ** 2
    return open_sky


def _trace(scene, origin, ray, lamp, bounces):
    balls, room, surface = scene["balls"], scene["room"], scene["surface"]
    far, which = _nearest(balls, origin, ray)
    light = room(ray)
    seen = which > -2
    if not seen.any():
        return light
    point = origin[seen] + ray[seen] * far[seen, None]
    kind, into = which[seen], ray[seen]
    normal = np.tile([0.0, 1.0, 0.0], (len(point), 1))
    colour, gloss = scene["table"](point, far[seen])
    for i, ball in enumerate(balls):
        on = kind == i
        if on.any():
            outward = (point[on] - np.array(ball.centre)) / ball.radius
            colour[on], normal[on], gloss[on] = surface(ball, outward)
    lifted = point + normal * 1e-3
    to_lamp = lamp - lifted
    away = np.linalg.norm(to_lamp, axis=-1)
    to_lamp = to_lamp / away[:, None]
    lambert = (normal * to_lamp).sum(-1)
    direct = (0.92 * lambert.clip(0) + 0.08 * (lambert * 0.5 + 0.5).clip(0)) * _unshadowed(balls, lifted, lamp)
    direct *= scene["lamp_power"] / away**2
    ambient = scene["ambient"] * (0.65 + 0.35 * normal[:, 1]) * _occlusion(balls, lifted, normal)
    lit = colour * (direct[:, None] * scene["lamp_colour"] + ambient[:, None] * scene["ambient_colour"])
    mirror = into - 2 * (into * normal).sum(-1)[:, None] * normal
    fresnel = gloss + (1 - gloss) * (1 - np.abs((into * normal).sum(-1))).clip(0, 1) ** 5 * np.minimum(1, gloss * 12)
    if bounces:
        lit = lit * (1 - fresnel[:, None]) + fresnel[:, None] * _trace(scene, lifted, mirror, lamp, bounces - 1)
    else:
        lit = lit * (1 - fresnel[:, None]) + fresnel[:, None] * room(mirror)
    light[seen] = lit
    return mix(room(ray), light, np.exp(-((np.where(seen, far, 0) / scene["fog"]) ** 2)))


def _photograph(scene, rng, *, eye, target, zoom, focus, aperture, bounces=2, exposure=1.0):
    eye, target = np.array(eye, float), np.array(target, float)
    ahead = _unit(target - eye)
    right = _unit(np.cross(ahead, [0.0, 1.0, 0.0]))
    up = np.cross(right, ahead)
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].reshape(2, -1)
    light = np.zeros((HEIGHT * WIDTH, 3))
    for i in range(RAYS_PER_PIXEL):
        # The additive recurrence of the plastic number covers lens, pixel and lamp evenly with few rays.
        a, b, c, d, e, f = np.modf(0.5 + (i + 1) * np.array([0.7549, 0.5698, 0.8192, 0.6711, 0.5497, 0.4503]))[0]
        u, v = (x + a - WIDTH / 2) / HEIGHT, (HEIGHT / 2 - y - b) / HEIGHT
        ray = _unit(ahead * zoom + u[:, None] * right + v[:, None] * up)
        sharp = eye + ray * (focus / (ray @ ahead))[:, None]
        lens = aperture * np.sqrt(c) * (np.cos(2 * np.pi * d) * right + np.sin(2 * np.pi * d) * up)
        lamp = LAMP + LAMP_SIZE * np.array([e - 0.5, 0.0, f - 0.5])
        origin = np.broadcast_to(eye + lens, ray.shape)
        light += np.minimum(_trace(scene, origin, _unit(sharp - origin), lamp, bounces), 12.0)
    light = (light / RAYS_PER_PIXEL).reshape(HEIGHT, WIDTH, 3)
    return sharpen(develop(light, rng, exposure=exposure, bloom=0.05))


def _bumped(outward, texture, scale, strength):
    """Normals tilted by a texture wrapped round the ball, and its value."""
    u = np.arctan2(outward[:, 2], outward[:, 0]) * scale
    v = np.arcsin(outward[:, 1].clip(-1, 1)) * scale
    value = lookup(texture, u, v)
    du, dv = lookup(texture, u + 1, v) - value, lookup(texture, u, v + 1) - value
    east = _unit(np.stack([-outward[:, 2], np.full(len(u), 1e-6), outward[:, 0]], -1))
    north = np.cross(outward, east)
    return _unit(outward - strength * (du[:, None] * east - dv[:, None] * north)), value


def spheres(rng):
    """Glass-like and matt balls on a chequered table, in the light of a window."""
    dust, vein = noise(rng, 0.9, 1024, 1024), noise(rng, 1.5, 1024, 1024)

    def table(point, far):
        x, z = point[:, 0] / 0.8, point[:, 2] / 0.8
        soft = 0.0012 * far

        def wave(t):
            return (np.abs(t - np.floor(t) - 0.5) - 0.25) / soft

        checker = np.tanh(wave(x / 2)) * np.tanh(wave(z / 2)) * 0.5 + 0.5
        marble = lookup(vein, x * 60, z * 60) + 0.5 * lookup(dust, x * 190, z * 190)
        light = np.array([0.68, 0.63, 0.55]) * (1 + 0.07 * marble[:, None])
        dark = np.array([0.060, 0.045, 0.040]) * (1 + 0.30 * marble[:, None])
        colour = dark + (light - dark) * checker[:, None]
        return colour, 0.045 + 0.02 * step(-1, 1, marble)

    def surface(ball, outward):
        texture = dust if ball.pattern == "plain" else vein
        normal, value = _bumped(outward, texture, 130.0, 0.010 if ball.pattern == "plain" else 0.02)
        spread = 0.05 if ball.pattern == "plain" else 0.24
        colour = np.array(ball.colour) * (1 + spread * value[:, None]).clip(0.2)
        return colour, normal, np.full(len(outward), ball.gloss)

    def room(ray):
        height = ray[:, 1]
        wall = mix([0.30, 0.25, 0.21], [0.14, 0.18, 0.26], step(-0.1, 0.7, height))
        lamp = _unit(LAMP - np.array([0.0, 0.5, 0.0]))
        side = _unit(np.cross(lamp, [0.0, 1.0, 0.0]))
        above = np.cross(side, lamp)
        along = (ray @ lamp).clip(1e-3)
        a, b = ray @ side / along, ray @ above / along
        frame = step(0.30, 0.27, np.abs(a)) * step(0.34, 0.31, np.abs(b)) * (ray @ lamp > 0)
        frame = frame * (1 - 0.95 * step(0.022, 0.014, np.abs(a))) * (1 - 0.95 * step(0.022, 0.014, np.abs(b)))
        return wall + frame[:, None] * np.array([7.0, 6.6, 6.0])

    balls = (
        Ball((0.0, 0.80, 0.0), 0.80, (0.52, 0.035, 0.030), 0.055),
        Ball((1.45, 0.55, 0.55), 0.55, (0.035, 0.13, 0.38), 0.05),
        Ball((-1.35, 0.60, 0.25), 0.60, (0.75, 0.70, 0.60), 0.04, "marble"),
        Ball((0.55, 0.30, 1.45), 0.30, (0.80, 0.44, 0.05), 0.05),
        Ball((-0.55, 0.25, 1.55), 0.25, (0.06, 0.30, 0.14), 0.05),
        Ball((2.4, 0.9, -2.4), 0.9, (0.62, 0.60, 0.56), 0.35),
        Ball((-2.6, 0.8, -3.0), 0.8, (0.70, 0.30, 0.12), 0.04),
        Ball((0.3, 0.7, -4.2), 0.7, (0.25, 0.42, 0.40), 0.05),
    )
    scene = {"balls": balls, "room": room, "surface": surface, "table": table, "fog": 16.0}
    scene |= {"lamp_power": 52.0, "lamp_colour": np.array([1.0, 0.93, 0.82])}
    scene |= {"ambient": 0.38, "ambient_colour": np.array([0.62, 0.74, 0.95])}
    return _photograph(
        scene, rng, eye=(0.7, 2.1, 6.3), target=(0.05, 0.55, 0.0), zoom=1.45, focus=5.9, aperture=0.085, exposure=0.62
    )


def fruit(rng):
    """Oranges, plums and blueberries on a wooden table before a dark wall."""
    pores, streak = noise(rng, 0.55, 1024, 1024), noise(rng, 1.4, 1024, 1024)
    grain, fibre = noise(rng, 1.25, 1024, 1024, stretch=14.0), noise(rng, 0.8, 1024, 1024, stretch=9.0)

    def table(point, far):
        x, z = point[:, 0], point[:, 2]
        plank = np.floor(z / 0.85)
        shift = plank * 311.0
        rings = lookup(grain, x * 75 + shift, z * 200 + shift) + 0.5 * lookup(fibre, x * 160 + shift, z * 330)
        tone = 1 + 0.16 * np.sin(plank * 12.9)
        wood = mix([0.095, 0.046, 0.021], [0.30, 0.165, 0.078], step(-1.7, 1.7, rings)) * tone[:, None]
        gap = step(0.006, 0.016, np.abs(z / 0.85 - np.round(z / 0.85)) * 0.85)
        return wood * (0.15 + 0.85 * gap)[:, None], 0.03 + 0.015 * step(-1, 1, rings)

    def surface(ball, outward):
        plain = np.array(ball.colour)
        if ball.pattern == "orange":
            normal, value = _bumped(outward, pores, 60.0, 0.045)
            blush = lookup(streak, outward[:, 0] * 90 + 50, outward[:, 1] * 90)
            colour = plain * (1 + 0.05 * value + 0.10 * blush)[:, None] * np.array([1.0, 1.0, 1.0])
        else:
            normal, value = _bumped(outward, pores, 70.0, 0.010)
            bloom = step(
                -0.6, 1.5, lookup(streak, outward[:, 0] * 110 + ball.centre[0] * 300, outward[:, 1] * 110 + value)
            )
            colour = mix(plain, plain * 0.5 + np.array([0.10, 0.12, 0.18]), 0.55 * bloom)
            crown = (
                step(0.965, 0.985, outward @ _unit(np.array([0.25, 0.8, 0.6])))
                if ball.pattern == "berry"
                else 0 * value
            )
            colour = colour * (1 - 0.75 * crown)[:, None]
        return colour, normal, np.full(len(outward), ball.gloss)

    def room(ray):
        lamp = _unit(LAMP)
        wall = mix([0.050, 0.042, 0.038], [0.012, 0.012, 0.016], step(-0.2, 0.5, ray[:, 1]))
        pool = np.exp(-(((ray[:, 0] + 0.18) / 0.45) ** 2) - ((ray[:, 1] + 0.10) / 0.28) ** 2) * (ray[:, 2] < 0)
        softbox = step(0.925, 0.96, ray @ lamp)
        return wall + pool[:, None] * np.array([0.10, 0.085, 0.07]) + softbox[:, None] * np.array([5.2, 4.7, 4.0])

    orange, plum = (0.72, 0.185, 0.010), (0.105, 0.016, 0.040)
    balls = [
        Ball((-0.15, 0.72, 0.0), 0.72, orange, 0.035, "orange"),
        Ball((-1.50, 0.68, -0.35), 0.68, (0.76, 0.22, 0.012), 0.035, "orange"),
        Ball((-0.80, 0.66, -1.45), 0.66, orange, 0.035, "orange"),
        Ball((1.15, 0.47, 0.25), 0.47, plum, 0.04, "plum"),
        Ball((1.95, 0.45, -0.45), 0.45, (0.13, 0.018, 0.030), 0.04, "plum"),
        Ball((1.00, 0.44, -0.90), 0.44, plum, 0.04, "plum"),
    ]
    spots = (
        (0.35, 1.20),
        (0.72, 1.35),
        (0.52, 1.62),
        (1.05, 1.10),
        (-0.55, 1.15),
        (1.45, 1.30),
        (0.12, 1.72),
        (2.1, 0.75),
    )
    for x, z in spots:
        radius = float(rng.uniform(0.155, 0.195))
        balls.append(Ball((x, radius, z), radius, (0.030, 0.042, 0.120), 0.03, "berry"))
    scene = {"balls": tuple(balls), "room": room, "surface": surface, "table": table, "fog": 13.0}
    scene |= {"lamp_power": 56.0, "lamp_colour": np.array([1.0, 0.90, 0.74])}
    scene |= {"ambient": 0.16, "ambient_colour": np.array([0.75, 0.80, 1.0])}
    return _photograph(
        scene, rng, eye=(0.35, 2.0, 6.0), target=(0.12, 0.50, 0.0), zoom=1.52, focus=5.5, aperture=0.075, exposure=1.4
    )
