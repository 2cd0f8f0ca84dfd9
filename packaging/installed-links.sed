# Adapts the links of README.md and docs/*.md to the installed files, which are in one directory with
# examples/ and monitoring/ below it. Links to files that are not installed lead to the repository.
s#](docs/#](#g
s#](\(\.\./\)\{0,1\}pcs-examples\()\|/\)#](examples\2#g
s#](\.\./README\.md#](README.md#g
s#](\(\.\./\)\{0,1\}\(CONTRIBUTING\|SECURITY\|CHANGELOG\)\.md#](https://github.com/smartvox/opensips-ocf/blob/main/\2.md#g
s#](\(\.\./\)\{0,1\}\(tests\|packaging\|ocf\|crates\)/#](https://github.com/smartvox/opensips-ocf/blob/main/\2/#g
s#](\(\.\./\)\{0,1\}\(LICENSE-[A-Z]*\))#](https://github.com/smartvox/opensips-ocf/blob/main/\2)#g
