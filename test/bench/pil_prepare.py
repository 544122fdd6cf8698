"""Decodes photographs as `alexnet prepare` does, with PIL on one core: short side to 256, centre cut out. Prints JSON."""
import json
import pathlib
import sys
import time

from PIL import Image, ImageOps

SIDE = 256
files = sorted(pathlib.Path(sys.argv[1]).rglob("*.jpg"))
started = time.perf_counter()
total = 0
for file in files:
    image = Image.open(file)
    image.draft("RGB", (SIDE, SIDE))  # the decoder shrinks, as libvips has it do
    image = ImageOps.fit(ImageOps.exif_transpose(image).convert("RGB"), (SIDE, SIDE), Image.LANCZOS)
    total += len(image.tobytes())
print(json.dumps({"pictures_per_s": len(files) / (time.perf_counter() - started), "bytes": total}))
