"""Shared by the scenes: natural (1/f) noise, texture lookup, and the way from linear light to a photograph."""

import numpy as np
from PIL import Image, ImageFilter

WIDTH, HEIGHT = 640, 480
SUPERSAMPLING = 2
"""Scenes are rendered this many times larger on each side and shrunk, so that their edges are as a lens draws them."""


def noise(rng, slope, height, width, stretch=1.0):
    """Periodic noise, mean 0, deviation 1, amplitude falling as 1 / f ** slope; `stretch` > 1 draws it out sideways."""
    fy = np.fft.fftfreq(height)[:, None] * height
    fx = np.fft.rfftfreq(width)[None, :] * width * stretch
    falloff = np.hypot(fx, fy)
    falloff[0, 0] = 1.0
    spectrum = np.fft.rfft2(rng.normal(size=(height, width))) / falloff**slope
    spectrum[0, 0] = 0.0
    field = np.fft.irfft2(spectrum, s=(height, width))
    return field / field.std()


def lookup(texture, u, v):
    """`texture` at fractional coordinates, in texels, repeated in both directions; bilinear."""
    height, width = texture.shape[:2]
    u0, v0 = np.floor(u).astype(int), np.floor(v).astype(int)
    fu, fv = u - u0, v - v0
    if texture.ndim == 3:
        fu, fv = fu[..., None], fv[..., None]
    u0, u1, v0, v1 = u0 % width, (u0 + 1) % width, v0 % height, (v0 + 1) % height
    top = texture[v0, u0] * (1 - fu) + texture[v0, u1] * fu
    bottom = texture[v1, u0] * (1 - fu) + texture[v1, u1] * fu
    return top * (1 - fv) + bottom * fv


def step(low, high, x):
    """Smooth 0 to 1 as `x` goes from `low` to `high`."""
    t = np.clip((x - low) / (high - low), 0.0, 1.0)
    return t * t * (3 - 2 * t)


def mix(a, b, share):
    """From colours `a` to `b`; `share` has one number per colour."""
    share = np.asarray(share)[..., None]
    return np.asarray(a) * (1 - share) + np.asarray(b) * share


def blur(light, radius):
    """Gaussian blur of a linear picture."""
    planes = [Image.fromarray(plane.astype(np.float32)) for plane in np.moveaxis(light, -1, 0)]
    reduced = max(1, int(radius // 4))  # a wide blur needs few pixels, and Pillow has no Gaussian for float pictures
    out = []
    for plane in planes:
        width, height = plane.size
        small = np.asarray(plane.resize((width // reduced, height // reduced), Image.Resampling.BOX))
        sigma = radius / reduced
        taps = np.arange(-int(3 * sigma) - 1, int(3 * sigma) + 2)
        kernel = np.exp(-0.5 * (taps / max(sigma, 0.3)) ** 2)
        kernel /= kernel.sum()
        for axis in (0, 1):
            pad = [(len(taps) // 2,) * 2 if a == axis else (0, 0) for a in (0, 1)]
            padded = np.pad(small, pad, mode="edge")
            n = small.shape[axis]
            small = sum(k * np.take(padded, range(i, i + n), axis=axis) for i, k in enumerate(kernel))
        out.append(
            np.asarray(Image.fromarray(small.astype(np.float32)).resize((width, height), Image.Resampling.BICUBIC))
        )
    return np.stack(out, axis=-1)


def develop(light, rng, *, exposure=1.0, bloom=0.06, vignette=0.25, grain=0.006):
    """Linear light at rendering size to an sRGB photograph: bloom, vignette, film curve, shrinking, fine grain."""
    height, width = light.shape[:2]
    light = light * exposure
    if bloom:
        light = light * (1 - bloom) + bloom * blur(np.minimum(light, 8.0), width / 60)
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    light = light * (1 - vignette * (x * x + y * y) / 2)[..., None]
    curved = light * (2.51 * light + 0.03) / (light * (2.43 * light + 0.59) + 0.14)  # ACES, as fitted by K. Narkowicz
    shrunk = curved.reshape(HEIGHT, height // HEIGHT, WIDTH, width // WIDTH, 3).mean(axis=(1, 3)).clip(0, 1)
    encoded = np.where(shrunk <= 0.0031308, 12.92 * shrunk, 1.055 * shrunk ** (1 / 2.4) - 0.055)
    speckle = noise(rng, 0.3, HEIGHT, WIDTH)[..., None] * 0.8 + rng.normal(size=shrunk.shape) * 0.3
    encoded = encoded + grain * speckle * (1.2 - encoded)
    return Image.fromarray((encoded.clip(0, 1) * 255).round().astype(np.uint8))


def sharpen(image):
    """What every camera does last."""
    return image.filter(ImageFilter.UnsharpMask(radius=1.0, percent=60, threshold=0))
