"""What the timing scripts share: contenders that take turns, the published networks, and peaks of memory."""
