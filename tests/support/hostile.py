"""Text that tries to leave its place in a page."""

EVIL = "</script><script>alert(1)</script>&\"'"
