# Adapts the links of README.md and docs/*.md to the book, before installed-links.sed: manual pages are chapters, and
# a directory has no page.
s#](\.\./packaging/man/\([^)]*\))#](man/\1.md)#g
s#](\(\.\./\)\{0,1\}pcs-examples)#](https://github.com/smartvox/opensips-ocf/tree/main/pcs-examples)#g
s#](schemas/)#](https://github.com/smartvox/opensips-ocf/tree/main/docs/schemas)#g
