# Links of README.md and docs/*.md as they lie in the repository, for where they are installed: beside each
# other, with the examples in examples/. What is not installed is in the repository.
s#](docs/#](#g
s#](\(\.\./\)\{0,1\}pcs-examples\()\|/\)#](examples\2#g
s#](\.\./README\.md#](README.md#g
s#](\(\.\./\)\{0,1\}\(CONTRIBUTING\|SECURITY\|CHANGELOG\)\.md#](https://github.com/smartvox/opensips-ocf/blob/main/\2.md#g
s#](\(\.\./\)\{0,1\}\(tests\|packaging\|ocf\|crates\)/#](https://github.com/smartvox/opensips-ocf/blob/main/\2/#g
s#](\(\.\./\)\{0,1\}\(LICENSE-[A-Z]*\))#](https://github.com/smartvox/opensips-ocf/blob/main/\2)#g
