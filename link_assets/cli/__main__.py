"""`python -m link_assets.cli` is the command link-assets."""

from link_assets.cli.main import main

main()
