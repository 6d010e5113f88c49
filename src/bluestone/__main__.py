"""`python -m bluestone`: the command line, where its script is not on the path."""

from bluestone.cli.main import main

if __name__ == "__main__":
    main()
