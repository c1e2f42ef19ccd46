"""Six scenes as functions from a random generator to a photograph-like picture."""

import numpy as np
from light import HEIGHT, SUPERSAMPLING, WIDTH, develop, lookup, mix, noise, sharpen, step

W, H = WIDTH * SUPERSAMPLING, HEIGHT * SUPERSAMPLING
Y, X = np.mgrid[0 : 1 : H * 1j, 0 : 1 : W * 1j]
"""Picture coordinates: (0, 0) top left, (1, 1) bottom right."""


def hills(rng):
    """Sunset over layered hills; haze thickens with distance."""
    sun_x, sun_y = 0.64, 0.40
    distance = np.hypot((X - sun_x) * 1.33, Y - sun_y)
    sky = mix([0.10, 0.19, 0.42], [1.15, 0.48, 0.20], step(0.0, 0.46, Y))
    sky = sky + np.exp(-((distance / 0.17) ** 1.2))[..., None] * np.array([1.3, 0.75, 0.30])
    sky = sky + (distance < 0.030)[..., None] * np.array([9.0, 6.5, 3.6])
    streaks = lookup(noise(rng, 1.55, 512, 1024, stretch=4.0), X * 700, (Y * 420) * (1 + 0.8 * (0.5 - Y)))
    cover = step(0.2, 1.7, streaks) * step(0.46, 0.18, Y) * 0.85
    lit = mix([0.30, 0.22, 0.34], [1.7, 0.72, 0.36], step(0.5, 0.05, distance))
    light = mix(sky, lit, cover)
    haze, wood = np.array([1.0, 0.47, 0.26]), np.array([0.014, 0.026, 0.022])
    grove = noise(rng, 0.9, 512, 1024)
    layers = 8
    for i in range(layers):
        near = i / (layers - 1)
        smooth = noise(rng, 1.9, 1, 2048)[0]
        rough = noise(rng, 0.7, 1, 4096)[0]
        at = np.linspace(0, 1, W)
        ridge = (
            0.44 + 0.50 * near**1.25 - (0.025 + 0.045 * near) * lookup(smooth[None], at * (1500 - 700 * near), at * 0)
        )
        ridge = ridge - (0.0012 + 0.0075 * near**1.5) * lookup(rough[None], at * (3500 - 2200 * near), at * 0)
        depth = Y - ridge[None, :]
        inside = step(0.0, 1.5 / H, depth)
        texture = lookup(grove, X * W / (0.7 + 2.2 * near), Y * H / (0.5 + 1.4 * near) + i * 77)
        rim = np.exp(-np.maximum(depth, 0) / 0.012) * (1 - near) * 0.15
        ground = wood * (1.3 + 0.75 * texture[..., None] * (0.35 + 0.65 * near)).clip(0.2) + rim[..., None] * haze
        mist = (1 - near) ** 1.25 * 0.92 + 0.22 * step(0.0, 0.15, depth) * (1 - near) - 0.06
        glow = 0.45 + 0.75 * np.exp(-(((X - sun_x) / 0.36) ** 2))
        veil = mix(haze, np.array([0.13, 0.15, 0.33]), 0.05 + 0.95 * near) * glow[..., None]
        light = mix(light, mix(ground, veil, mist.clip(0, 1)), inside)
    return sharpen(develop(light, rng, exposure=0.85, bloom=0.07))


def sea(rng):
    """Open sea under cumulus clouds, the sun in front of us."""
    horizon = 0.47
    height = (horizon - Y).clip(1e-3)
    clouds = noise(rng, 1.75, 1024, 1024)
    detail = noise(rng, 1.15, 1024, 1024)

    def cover_at(u, v):
        return lookup(clouds, u, v) + 0.28 * lookup(detail, u * 3.1, v * 3.1)

    far = 1 / (height + 0.085)
    u, v = (X - 0.5) * far * 62 + 300, far * 78
    density = cover_at(u, v)
    toward_sun = cover_at(u + 3.0, v + 5.5)
    cover = step(0.25, 1.15, density)
    sun_x = 0.60
    blue = mix([0.60, 0.72, 0.86], [0.075, 0.21, 0.52], step(0.0, 0.46, height))
    shade = step(-0.5, 0.75, density - toward_sun + 0.25) * 0.75 + 0.25 * step(2.4, 0.4, density)
    sky = mix(blue, mix([0.34, 0.39, 0.48], [1.75, 1.60, 1.42], shade), cover * step(0.0, 0.05, height))
    halo = np.exp(-(np.hypot((X - sun_x) * 1.3, Y - 0.16) / 0.20))
    sky = sky + halo[..., None] * np.array([0.75, 0.66, 0.50]) * (1 - 0.5 * cover[..., None])
    sky = mix(sky, [0.88, 0.86, 0.84], np.exp(-height / 0.035) * 0.75)

    depth = (Y - horizon).clip(0.4 / H)
    z = 0.11 / depth
    swell, chop = noise(rng, 1.35, 1024, 1024, stretch=1.4), noise(rng, 0.85, 1024, 1024, stretch=1.3)
    fade = step(26.0, 1.0, z)

    def slope(dx, dz):
        a, b = (X - 0.5) * z * 150 + dx, z * 210 + dz
        return 0.55 * lookup(swell, a * 0.45, b * 0.45) + 0.45 * lookup(chop, a * 2.1, b * 2.1) * (0.3 + 0.7 * fade)

    bump = slope(0, 0)
    tilt_x, tilt_z = slope(1.2, 0) - bump, slope(0, 1.2) - bump
    facing = (0.18 + 0.82 * np.exp(-depth * 5.5) + 0.30 * tilt_z).clip(0.03, 1)
    mirror_y = ((horizon - depth * 0.85 - 0.02 - 0.12 * np.abs(tilt_z)) * (H - 1)).clip(0, horizon * (H - 1))
    mirror = lookup(sky, X * (W - 1) + tilt_x * 120, mirror_y)
    body = mix([0.008, 0.055, 0.085], [0.02, 0.15, 0.17], step(-0.6, 1.6, bump))
    water = mix(body, mirror * 0.8, facing**1.3 * 0.9)
    glitter = np.exp(-(((X - sun_x) / (0.035 + depth * 0.34)) ** 2)) * step(
        0.35, 1.15, tilt_x * 1.2 + tilt_z + 0.35 * bump
    )
    water = water + glitter[..., None] * np.array([3.6, 3.1, 2.3])
    foam = step(1.75, 2.5, bump + 0.35 * lookup(detail, X * z * 900, z * 1100)) * fade * step(0.05, 0.2, depth)
    water = mix(water, [0.95, 0.97, 1.0], foam * 0.75)
    water = mix(water, [0.72, 0.77, 0.80], np.exp(-depth / 0.012) * 0.6)
    light = mix(sky, water, step(horizon - 0.6 / H, horizon + 0.6 / H, Y))
    return sharpen(develop(light, rng, exposure=0.78, bloom=0.05))


SHORE = 0.66
WARM = np.array([[1.0, 0.62, 0.26], [1.0, 0.76, 0.46], [0.78, 0.88, 1.0], [1.0, 0.50, 0.18], [0.55, 0.80, 1.0]])
"""Colours of electric light."""


def city(rng):
    """A waterfront at night: lit windows, their reflection, and lights out of focus in front."""
    dusk = mix([0.008, 0.014, 0.040], [0.16, 0.085, 0.10], step(0.0, SHORE, Y) ** 2.2)
    clouds = lookup(noise(rng, 1.7, 512, 1024, stretch=2.5), X * 600, Y * 600)
    light = dusk * (1 + 0.28 * clouds[..., None]).clip(0.3)
    concrete = noise(rng, 1.0, 512, 512)
    for row in range(3):
        left = -rng.integers(0, 60)
        while left < W:
            width = int(rng.integers(60, 150))
            _build(light, rng, concrete, row, left, width)
            left += width + int(rng.integers(-12, 14))
    for lamp in np.arange(0.02, 1.0, 0.052) + rng.normal(0, 0.004, 19):
        halo = np.exp(-np.hypot((X - lamp) * W, (Y - SHORE + 0.012) * H) / 4.0)
        light = light + halo[..., None] * np.array([7.0, 4.2, 1.7])
    quay = step(SHORE - 0.006, SHORE - 0.004, Y) * step(SHORE + 0.012, SHORE + 0.010, Y)
    light = mix(light, np.array([0.012, 0.011, 0.012]), quay)
    light = _mirror_in_water(light, rng)
    for _ in range(11):
        x, y, radius = rng.uniform(0, 1), rng.uniform(0.86, 1.02), rng.uniform(0.020, 0.048)
        gap = np.hypot((X - x) * W / H, Y - y) / radius
        disc = step(1.04, 0.95, gap) * (0.75 + 0.35 * step(0.7, 0.97, gap))
        light = light + disc[..., None] * WARM[rng.choice(5)] * rng.uniform(0.06, 0.26)
    return sharpen(develop(light, rng, exposure=1.5, bloom=0.09, grain=0.007))


def _build(light, rng, concrete, row, left, width):
    """Draw one house of the waterfront into `light`; `left` and `width` in rendering pixels."""
    y_px, x_px = np.mgrid[0:H, 0:W]
    centre = np.exp(-((((left + width / 2) / W - 0.56) / 0.24) ** 2))
    tall = (0.10 + 0.40 * centre * rng.uniform(0.45, 1.0) + 0.10 * rng.random()) * (1.05 - 0.24 * row)
    top = int((SHORE - tall) * H)
    right, bottom = min(W, left + width), int(SHORE * H)
    area = np.s_[top:bottom, max(0, left) : right]
    facade = np.array([0.013, 0.017, 0.030]) * rng.uniform(0.5, 1.5) * (1.5 - 0.4 * row)
    wall = facade * (1 + 0.22 * concrete[y_px[area] % 512, x_px[area] % 512])[..., None]
    wall = wall + 0.020 * step(0.45, 1.0, Y[area])[..., None] * np.array([1.0, 0.6, 0.35])
    cell_x, cell_y = int(rng.integers(7, 11)), int(rng.integers(9, 14))
    column, floor = (x_px[area] - left) // cell_x, (y_px[area] - top) // cell_y
    columns, floors = width // cell_x + 2, (bottom - top) // cell_y + 2
    lit = rng.random((floors, columns)) < rng.uniform(0.16, 0.5)
    power = lit * rng.lognormal(-0.55, 0.75, (floors, columns))
    tint = WARM[rng.choice(5, (floors, columns), p=[0.34, 0.32, 0.16, 0.12, 0.06])]
    in_x, in_y = (x_px[area] - left) % cell_x, (y_px[area] - top) % cell_y
    pane = (in_x > 1) & (in_x < cell_x - 1) & (in_y > 2) & (in_y < cell_y - 2)
    pane &= (x_px[area] - left > 4) & (left + width - x_px[area] > 5) & (y_px[area] - top > 8)
    curtain = 0.55 + 0.45 * (in_y / cell_y)
    glow = (power[floor, column] * pane * curtain)[..., None] * tint[floor, column]
    light[area] = wall + glow * (0.75 + 0.3 * row)
    if tall > 0.36:
        mast = int(left + width / 2)
        light[max(0, top - 70) : top, mast : mast + 2] = [0.03, 0.03, 0.04]
        light[max(0, top - 74) : top - 68, mast - 2 : mast + 4] = [5.0, 0.35, 0.2]


def _mirror_in_water(light, rng):
    """The waterfront in `light`, with its reflection in rippled water below."""
    depth = (Y - SHORE - 0.008).clip(0)
    ripple = noise(rng, 1.1, 1024, 1024, stretch=0.3)
    z = 1 / (depth + 0.035)
    wave = lookup(ripple, (X - 0.5) * z * 75, z * 95) * step(0.0, 0.03, depth)
    fine = lookup(ripple, (X - 0.5) * z * 210 + 90, z * 260) * step(0.0, 0.05, depth)
    shift = (0.55 * wave + 0.45 * fine) * (0.018 + 0.16 * depth)
    mirrored = lookup(
        light, X * (W - 1) + fine * 2, ((SHORE - depth * 1.15 + shift).clip(0.02, SHORE - 0.008)) * (H - 1)
    )
    water = mirrored * (0.62 - 0.5 * depth)[..., None] + np.array([0.004, 0.007, 0.014])
    return mix(light, water, step(0.0, 1 / H, depth))


def forest(rng):
    """Trunks in morning fog, light from behind."""
    glow = np.exp(-(((X - 0.56) / 0.36) ** 2 + ((Y - 0.36) / 0.42) ** 2))
    fog = mix([0.20, 0.27, 0.22], [1.35, 1.22, 0.84], glow)
    light = fog.copy()
    floor_y = 0.66
    bark = noise(rng, 1.0, 1024, 512, stretch=0.16)
    fine = noise(rng, 0.75, 1024, 1024, stretch=0.4)
    moss = noise(rng, 1.2, 1024, 1024)
    leaves = noise(rng, 0.85, 1024, 1024)
    for i in range(7):
        near = i / 6
        mist = (1 - near) ** 1.25 * 0.93
        ground_y = floor_y + 0.020 * (1 - near) + 0.27 * near**1.8
        rise = 0.012 * lookup(moss, X * 300 + i * 50, X * 0 + 3) * (0.3 + near)
        edge = ground_y - 0.10 * near - rise
        scale = 0.35 + 1.15 * (1 - near)
        litter = lookup(leaves, X * W * scale, (Y - edge) * H * scale * 2.2) + 0.6 * lookup(moss, X * 500, Y * 1500)
        green = mix(
            [0.045, 0.040, 0.018], [0.085, 0.135, 0.030], step(-0.9, 1.1, lookup(moss, X * 420 + i * 99, Y * 800))
        )
        ground = green * (1.0 + 0.55 * litter[..., None]).clip(0.12) * (0.55 + 1.5 * glow[..., None])
        tuft = 0.010 * near * lookup(leaves, X * 900, X * 0 + i)
        light = mix(light, mix(ground, fog * 0.8, mist * 0.85), step(edge - tuft, edge - tuft + 0.004, Y))
        count = 13 - int(1.5 * i)
        for x in (np.arange(count) + rng.uniform(0.1, 0.9, count)) / count:
            if near > 0.6 and abs(x - 0.56) < 0.14:  # keeps the view into the light open
                continue
            wide = (0.006 + 0.044 * near**1.5) * rng.uniform(0.75, 1.25)
            lean, bend = rng.normal(0, 0.03), rng.normal(0, 0.012)
            root = edge.mean() + 0.03 * near
            centre = x + lean * (root - Y) + bend * np.sin(Y * 4 + x * 20)
            girth = wide * (0.80 + 0.32 * Y + 0.9 * np.exp(-(root - Y).clip(0) / 0.028))
            across = (X - centre) / girth
            inside = step(1.0, 1.0 - 1.6 / (girth * W), np.abs(across)) * step(root + 0.006, root, Y)
            turn = np.arcsin(across.clip(-1, 1))
            relief = lookup(bark, turn * 62 + x * 400, Y * H * (0.55 - 0.20 * near)) * 0.7
            relief = relief + 0.45 * lookup(fine, turn * 130 + x * 900, Y * H * (1.0 - 0.35 * near))
            rim = (np.abs(across) ** 5) * 0.85 * glow + 0.18
            side = 0.5 + 0.5 * across * np.sign(0.56 - x)
            wood = mix(
                [0.060, 0.044, 0.030], [0.050, 0.072, 0.024], step(0.2, 1.6, lookup(moss, turn * 60 + x * 777, Y * 500))
            )
            trunk = wood * (1 + 0.62 * relief[..., None]).clip(0.10) * (0.30 + 1.25 * side + 2.4 * rim)[..., None]
            light = mix(light, mix(trunk, fog, mist), inside)
        light = light + (0.025 * (1 - near) * glow)[..., None] * np.array([1.0, 0.92, 0.65])
    angle = np.arctan2(X - 0.60, Y + 0.25)
    beams = (
        lookup(noise(rng, 1.0, 1, 1024), angle * 130, X * 0) * step(1.0, 0.25, Y) * np.exp(-(((X - 0.52) / 0.34) ** 2))
    )
    light = light + beams.clip(0)[..., None] * np.array([0.16, 0.14, 0.085])
    canopy = _canopy(rng)
    foliage = mix([0.020, 0.035, 0.010], [0.42, 0.52, 0.08], (glow * 0.8 + 0.15 * canopy).clip(0, 1))
    light = mix(light, foliage * (0.5 + 0.5 * canopy)[..., None], step(0.0, 0.3, canopy) * 0.95)
    return sharpen(develop(light, rng, exposure=0.92, bloom=0.10))


def _canopy(rng):
    """Twigs that hang into the picture: how much of each pixel is leaf, lighter and darker."""
    canopy = np.zeros((H, W))
    for count, low, high, size in ((700, -0.02, 0.21, 8), (200, -0.02, 0.12, 13)):
        for _ in range(count):
            x, y, turn = rng.uniform(0, W), rng.triangular(low, low, high) * H, rng.uniform(0, np.pi)
            reach = size * 2
            x0, x1, y0, y1 = (
                int(v) for v in (max(0, x - reach), min(W, x + reach), max(0, y - reach), min(H, y + reach))
            )
            if x0 >= x1 or y0 >= y1:
                continue
            dy, dx = np.mgrid[y0:y1, x0:x1] - np.array([y, x])[:, None, None]
            along, over = dx * np.cos(turn) + dy * np.sin(turn), dy * np.cos(turn) - dx * np.sin(turn)
            leaf = step(1.0, 0.85, np.hypot(along / size, over / (size * 0.42)))
            canopy[y0:y1, x0:x1] = np.maximum(canopy[y0:y1, x0:x1], leaf * rng.uniform(0.6, 1.0))
    return canopy
