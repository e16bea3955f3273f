"""Makes `python -m link_assets.cli` the command link-assets."""

from link_assets.cli.main import main

main()
