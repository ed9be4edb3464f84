"""A study in one file: written, unpacked on another machine, and compared with what is made there."""
