//! One crate, read by syn.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{Attribute, Block, ImplItem, Item, Meta, Signature, UseTree, Visibility};

use crate::LONG;
use crate::graph::Graph;
use crate::workspace::Package;

/// A crate as its sources are.
#[derive(Clone, Debug)]
pub struct Crate {
    /// The name of its directory in `crates/`.
    pub name: String,
    /// Its package.
    pub package: Package,
    /// Its rooms.
    pub rooms: BTreeSet<String>,
    /// Every distinct import of one room from another.
    pub imports: BTreeSet<Import>,
    /// The uses of foreign crates.
    pub foreign: BTreeSet<Foreign>,
    /// The number of `pub` items, methods included; without `pub(crate)`, fields and re-exports.
    pub public_items: usize,
    /// Functions of more than [`LONG`] lines.
    pub long_functions: Vec<LongFunction>,
}

/// A path in one room that leads into another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Import {
    /// The room that imports.
    pub from: String,
    /// The room that is imported.
    pub to: String,
    /// `crate::params::Params`
    pub path: String,
}

/// A use of a foreign crate.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Foreign {
    /// Its name in the sources: `serde_json`.
    pub name: String,
    /// The module that uses it: `mi::message`; empty for `lib.rs`.
    pub module: String,
}

/// A function that is longer than a screen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LongFunction {
    /// `start::start`
    pub name: String,
    /// From `fn` to the last brace.
    pub lines: usize,
}

impl Crate {
    /// Reads a crate from its `lib.rs` on.
    ///
    /// # Panics
    /// If a file can't be read or parsed.
    #[must_use]
    pub fn read(package: &Package) -> Self {
        let src = package.directory.join("src");
        let name = package.directory.file_name().unwrap_or_default().to_string_lossy();
        let mut reader = Reader {
            src: src.clone(),
            package: package.clone(),
            module: Vec::new(),
            paths: BTreeSet::new(),
            foreign: BTreeSet::new(),
            reexports: BTreeMap::new(),
            rooms: BTreeSet::new(),
            public_items: 0,
            long_functions: Vec::new(),
        };
        reader.file(&src.join("lib.rs"));
        let imports = reader.paths.iter().filter_map(|path| reader.import(path)).collect();
        Self {
            name: name.into_owned(),
            package: reader.package,
            rooms: reader.rooms,
            imports,
            foreign: reader.foreign,
            public_items: reader.public_items,
            long_functions: reader.long_functions,
        }
    }

    /// Returns which room imports which.
    #[must_use]
    pub fn graph(&self) -> Graph {
        Graph::of(self.imports.iter().map(|import| (import.from.as_str(), import.to.as_str())))
    }
}

/// A path into the crate, with the room that it is in.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Found {
    room: String,
    /// From the crate's root on.
    path: Vec<String>,
}

struct Reader {
    src: PathBuf,
    package: Package,
    /// The module that is being read.
    module: Vec<String>,
    paths: BTreeSet<Found>,
    foreign: BTreeSet<Foreign>,
    /// What `lib.rs` re-exports: a name, and the room that it comes from.
    reexports: BTreeMap<String, String>,
    rooms: BTreeSet<String>,
    public_items: usize,
    long_functions: Vec<LongFunction>,
}

impl Reader {
    fn file(&mut self, path: &Path) {
        let text =
            fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let file =
            syn::parse_file(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        if !is_for_tests(&file.attrs) {
            self.visit_file(&file);
        }
    }

    /// Returns the file of a child module of the current one.
    fn file_of(&self, name: &str) -> PathBuf {
        let directory = self.module.iter().fold(self.src.clone(), |path, part| path.join(part));
        let file = directory.join(format!("{name}.rs"));
        if file.is_file() { file } else { directory.join(name).join("mod.rs") }
    }

    /// Returns the import of another room, if the path is one.
    fn import(&self, found: &Found) -> Option<Import> {
        let first = found.path.first()?;
        let to = match self.reexports.get(first) {
            _ if self.rooms.contains(first) => first,
            Some(room) => room,
            // Of `lib.rs` itself.
            None => return None,
        };
        (*to != found.room).then(|| Import {
            from: found.room.clone(),
            to: to.clone(),
            path: format!("crate::{}", found.path.join("::")),
        })
    }

    fn path(&mut self, segments: &[String]) {
        let Some(first) = segments.first() else { return };
        let own = self.module.len();
        let supers = segments.iter().take_while(|part| *part == "super").count();
        let (above, rest) = match first.as_str() {
            "crate" => (own, segments.get(1..)),
            "self" => (0, segments.get(1..)),
            "super" => (supers, segments.get(supers..)),
            name => {
                if segments.len() > 1 && self.package.shipped.iter().any(|known| known == name) {
                    let (name, module) = (name.to_owned(), self.module.join("::"));
                    self.foreign.insert(Foreign { name, module });
                }
                return;
            }
        };
        let base = self.module.get(..own.saturating_sub(above)).unwrap_or_default();
        let path = [base, rest.unwrap_or_default()].concat();
        if let Some(room) = self.module.first().cloned() {
            self.paths.insert(Found { room, path });
        }
    }

    fn use_tree(&mut self, before: &[String], tree: &UseTree) {
        let with = |name: String| [before, &[name]].concat();
        match tree {
            UseTree::Path(path) => self.use_tree(&with(path.ident.to_string()), &path.tree),
            UseTree::Name(name) if name.ident == "self" => self.used(before, None),
            UseTree::Name(name) => self.used(&with(name.ident.to_string()), None),
            UseTree::Rename(name) => {
                self.used(&with(name.ident.to_string()), Some(name.rename.to_string()));
            }
            UseTree::Glob(_) => self.used(&with("*".to_owned()), None),
            UseTree::Group(group) => {
                group.items.iter().for_each(|tree| self.use_tree(before, tree));
            }
        }
    }

    /// Notes what a `use` imports, and its other name.
    fn used(&mut self, path: &[String], rename: Option<String>) {
        if let [room, .., name] = path
            && self.module.is_empty()
        {
            self.reexports.insert(rename.unwrap_or_else(|| name.clone()), room.clone());
        }
        self.path(path);
    }

    /// Finds paths in the arguments of a macro, which syn does not parse.
    fn tokens(&mut self, tokens: TokenStream) {
        let mut path: Vec<String> = Vec::new();
        let mut colons = 0;
        for token in tokens {
            match &token {
                TokenTree::Ident(ident) if colons == 2 && !path.is_empty() => {
                    path.push(ident.to_string());
                }
                TokenTree::Ident(ident) => {
                    self.path(&std::mem::take(&mut path));
                    path.push(ident.to_string());
                }
                TokenTree::Punct(punct) if punct.as_char() == ':' => {
                    colons += 1;
                    continue;
                }
                _ => self.path(&std::mem::take(&mut path)),
            }
            colons = 0;
            if let TokenTree::Group(group) = token {
                self.tokens(group.stream());
            }
        }
        self.path(&path);
    }

    fn function(&mut self, signature: &Signature, body: &Block) {
        let begin = signature.fn_token.span.start().line;
        let lines = body.brace_token.span.close().end().line + 1 - begin;
        if lines > LONG {
            let name = [&self.module[..], &[signature.ident.to_string()]].concat().join("::");
            self.long_functions.push(LongFunction { name, lines });
        }
    }

    fn count(&mut self, visibility: &Visibility) {
        self.public_items += usize::from(matches!(visibility, Visibility::Public(_)));
    }
}

/// Returns whether an item is compiled for tests only.
fn is_for_tests(attributes: &[Attribute]) -> bool {
    let is_test = |meta: &Meta| match meta {
        Meta::List(list) if list.path.is_ident("cfg") => {
            let condition = list.tokens.to_string();
            let words: Vec<&str> =
                condition.split(|c: char| !c.is_alphanumeric() && c != '_').collect();
            words.contains(&"test") && !words.contains(&"not")
        }
        _ => meta.path().is_ident("test"),
    };
    attributes.iter().any(|attribute| is_test(&attribute.meta))
}

/// Returns the attributes and the visibility of an item.
fn parts(item: &Item) -> (&[Attribute], Option<&Visibility>) {
    match item {
        Item::Const(it) => (&it.attrs, Some(&it.vis)),
        Item::Enum(it) => (&it.attrs, Some(&it.vis)),
        Item::Fn(it) => (&it.attrs, Some(&it.vis)),
        Item::Mod(it) => (&it.attrs, Some(&it.vis)),
        Item::Static(it) => (&it.attrs, Some(&it.vis)),
        Item::Struct(it) => (&it.attrs, Some(&it.vis)),
        Item::Trait(it) => (&it.attrs, Some(&it.vis)),
        Item::Type(it) => (&it.attrs, Some(&it.vis)),
        Item::Union(it) => (&it.attrs, Some(&it.vis)),
        Item::Impl(it) => (&it.attrs, None),
        Item::Macro(it) => (&it.attrs, None),
        Item::Use(it) => (&it.attrs, None),
        _ => (&[], None),
    }
}

impl<'ast> Visit<'ast> for Reader {
    fn visit_item(&mut self, item: &'ast Item) {
        let (attributes, visibility) = parts(item);
        if is_for_tests(attributes) {
            return;
        }
        if let Some(visibility) = visibility {
            self.count(visibility);
        }
        visit::visit_item(self, item);
    }

    fn visit_impl_item(&mut self, item: &'ast ImplItem) {
        let (attributes, visibility) = match item {
            ImplItem::Const(it) => (&it.attrs, &it.vis),
            ImplItem::Fn(it) => (&it.attrs, &it.vis),
            ImplItem::Type(it) => (&it.attrs, &it.vis),
            _ => return visit::visit_impl_item(self, item),
        };
        if !is_for_tests(attributes) {
            self.count(visibility);
            visit::visit_impl_item(self, item);
        }
    }

    fn visit_item_mod(&mut self, module: &'ast syn::ItemMod) {
        let name = module.ident.to_string();
        if self.module.is_empty() {
            self.rooms.insert(name.clone());
        }
        match &module.content {
            Some((_, items)) => {
                self.module.push(name);
                items.iter().for_each(|item| self.visit_item(item));
            }
            None => {
                let file = self.file_of(&name);
                self.module.push(name);
                self.file(&file);
            }
        }
        self.module.pop();
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.use_tree(&[], &item.tree);
    }

    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.function(&item.sig, &item.block);
        visit::visit_item_fn(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.function(&item.sig, &item.block);
        visit::visit_impl_item_fn(self, item);
    }

    fn visit_trait_item_fn(&mut self, item: &'ast syn::TraitItemFn) {
        if let Some(body) = &item.default {
            self.function(&item.sig, body);
        }
        visit::visit_trait_item_fn(self, item);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let segments: Vec<String> =
            path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        self.path(&segments);
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, macro_: &'ast syn::Macro) {
        self.tokens(macro_.tokens.clone());
        visit::visit_macro(self, macro_);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes these files and reads them as a crate.
    fn read(name: &str, files: &[(&str, &str)]) -> Crate {
        let directory =
            std::env::temp_dir().join(format!("structure-{name}-{}", std::process::id()));
        for (path, text) in files {
            let path = directory.join("src").join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let package = Package {
            name: name.to_owned(),
            directory: directory.clone(),
            dependencies: Vec::new(),
            shipped: vec!["serde_json".to_owned(), "log".to_owned()],
        };
        let read = Crate::read(&package);
        fs::remove_dir_all(&directory).unwrap();
        read
    }

    #[test]
    fn imports_are_found_however_they_are_written() {
        let read = read(
            "imports",
            &[
                ("lib.rs", "mod a;\nmod b;\npub mod c;\npub use c::Named as Other;\n"),
                ("a/mod.rs", "mod inner;\nuse crate::{b, c::{self, One, two::*}};\n"),
                ("a/inner.rs", "use super::super::b::Deep;\nuse super::Own;\nuse self::x::Y;\n"),
                (
                    "b.rs",
                    "fn f() -> super::c::Type { crate::Other; log::warn!(\"{}\", crate::c::word()) }",
                ),
                ("c.rs", "struct Named;\n#[cfg(test)]\nmod tests { use crate::a::Secret; }\n"),
            ],
        );
        let paths = |from: &str| {
            let all = read.imports.iter().filter(|it| it.from == from);
            all.map(|it| (it.to.as_str(), it.path.as_str())).collect::<Vec<_>>()
        };
        assert_eq!(
            paths("a"),
            [
                ("b", "crate::b"),
                ("b", "crate::b::Deep"),
                ("c", "crate::c"),
                ("c", "crate::c::One"),
                ("c", "crate::c::two::*"),
            ]
        );
        assert_eq!(
            paths("b"),
            [("c", "crate::Other"), ("c", "crate::c::Type"), ("c", "crate::c::word")]
        );
        assert_eq!(paths("c"), []);
        assert_eq!(read.rooms, BTreeSet::from(["a", "b", "c"].map(str::to_owned)));
        let log = Foreign { name: "log".to_owned(), module: "b".to_owned() };
        assert_eq!(read.foreign, BTreeSet::from([log]));
    }

    #[test]
    fn items_and_lines_are_counted_outside_of_tests() {
        let long = format!("pub fn long() {{{}}}\n", "\n".repeat(LONG));
        let short = format!("fn short() {{{}}}\n", "\n".repeat(LONG - 1));
        let text = format!(
            "{long}{short}/// A.\npub struct A {{ pub field: u8 }}\n\
             impl A {{ pub fn method(&self) {{}} pub(crate) fn own(&self) {{}} }}\n\
             pub(crate) fn inside() {{}}\npub use std::fs;\n\
             #[cfg(test)]\nmod tests {{ pub fn helper() {{}} }}\n\
             #[cfg(not(test))]\npub const C: u8 = 0;\n"
        );
        let read = read("items", &[("lib.rs", "mod a;"), ("a.rs", &text)]);
        assert_eq!(read.public_items, 4);
        let expected = LongFunction { name: "a::long".to_owned(), lines: LONG + 1 };
        assert_eq!(read.long_functions, [expected]);
    }
}
