"""What files with sound or pictures are called, which are looked for in folders. What is named is read anyhow."""

from __future__ import annotations

import re

MEDIA_FILES = re.compile(
    r"\.(3gp|aac|aiff?|amr|asf|avi|caf|flac|flv|m2?ts|m4[av]|mk[av]|mov|mp[34]|mpe?g|og[agv]|opus|ts|vob|wav|webm|wm[av])",
    re.IGNORECASE,
)
PICTURE_FILES = re.compile(r"\.(avif|bmp|gif|hei[cf]|jpe?g|png|tiff?|webp)", re.IGNORECASE)
