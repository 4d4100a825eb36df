"""The scripts here run in environments of their own, so pytest leaves them alone."""

collect_ignore_glob = ["*.py"]
