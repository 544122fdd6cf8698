"""`pillow_prepare.py IMAGE… OUT`: what Pillow makes of images, for pillow-photographs.slow.test.ts: stretched to 224, then cut from 256, bicubic."""
import sys

from PIL import Image, ImageOps

*files, out = sys.argv[1:]
with open(out, "wb") as pixels:
    for file in files:
        image = ImageOps.exif_transpose(Image.open(file)).convert("RGB")
        pixels.write(image.resize((224, 224), Image.BILINEAR).tobytes())
        width, height = image.size
        to = (256, int(256 * height / width)) if width <= height else (int(256 * width / height), 256)
        left, top = (to[0] - 224) // 2, (to[1] - 224) // 2
        pixels.write(image.resize(to, Image.BICUBIC).crop((left, top, left + 224, top + 224)).tobytes())
