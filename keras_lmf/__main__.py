"""`python -m keras_lmf` is `keras-lmf`."""

from keras_lmf.cli import main

if __name__ == "__main__":
    main(prog_name="keras-lmf")
