"""Whether the pages of a built site can be read without a network: what they fetch has to be among its own files."""

import pathlib
import re
import sys
from html.parser import HTMLParser

fetching = {"script": "src", "img": "src", "iframe": "src", "source": "src", "link": "href"}


class Fetched(HTMLParser):
    """Collects what a page fetches as it is opened."""

    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attributes):
        """Keep the addresses of scripts, pictures and styles."""
        given = dict(attributes)
        address = given.get(fetching.get(tag, ""))
        if address and given.get("rel") not in ("canonical", "index", "search", "next", "prev", "author"):
            self.found.append(address)


def missing(site):
    """Yield what pages and styles of a site fetch that is not in it."""
    for page in sorted(page for page in site.rglob("*.html") if "_static" not in page.parts):
        fetched = Fetched()
        fetched.feed(page.read_text("utf-8"))
        yield from ((page, address) for address in fetched.found if not has(page, address))
    for style in sorted(site.rglob("*.css")):
        found = re.findall(r"url\(['\"]?([^'\")]+)", style.read_text("utf-8"))
        found += re.findall(r"@import\s+['\"]([^'\"]+)", style.read_text("utf-8"))
        yield from ((style, address) for address in found if not has(style, address))


def has(page, address):
    """Return whether an address on a page is one of the site's files, or data within the page."""
    if address.startswith(("data:", "#")):
        return True
    return "//" not in address and (page.parent / re.split("[?#]", address)[0]).exists()


if __name__ == "__main__":
    wrong = [f"{page}: {address}" for page, address in missing(pathlib.Path(sys.argv[1]))]
    sys.exit("\n".join(["fetched from elsewhere, or missing:", *wrong]) if wrong else None)
