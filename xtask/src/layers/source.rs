//! All paths that a source file uses, also in macros and attributes, resolved from the crate root.
//!
//! A parser sees names, not types: a method call names no file.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context;
use syn::{
    Attribute, Item, ItemMod, ItemUse, Macro, MetaList, UseTree, VisRestricted, Visibility,
    buffer::{Cursor, TokenBuffer},
    visit::{self, Visit},
};

/// The segments of a path. A path of the program begins with `crate`, any other one with the name of its crate.
pub(super) type Segments = Vec<String>;

/// A source file, which is one module.
pub(super) struct Source {
    /// Path in the repository.
    pub(super) file: String,
    /// Path of the module.
    pub(super) module: Segments,
    /// The paths that it uses.
    pub(super) uses: BTreeSet<Segments>,
    /// Names that it re-exports, and the paths of their items. With features, a name may have several. Re-exporting
    /// an item of a child does not count as a use of the child.
    pub(super) exports: BTreeMap<String, BTreeSet<Segments>>,
    /// Constructs that hide paths, and what to write instead.
    pub(super) hidden: Vec<String>,
}

impl Source {
    /// Parses a file of the program: its path in the repository, and its text.
    ///
    /// # Errors
    /// The text is not Rust.
    pub(super) fn parse(file: &str, text: &str) -> anyhow::Result<Self> {
        let syntax = syn::parse_file(text).with_context(|| file.to_owned())?;
        let inside = file.trim_start_matches("src/").trim_end_matches(".rs");
        let parts = inside.split('/').filter(|it| *it != "lib");
        let module = ["crate"].into_iter().chain(parts).map(str::to_owned).collect();
        let mut written = Written { module, ..Written::default() };
        syntax.items.iter().for_each(|item| written.visit_item(item));
        Ok(written.resolved(file))
    }
}

/// The imports and paths of a file, before they are resolved.
#[derive(Default)]
struct Written {
    module: Segments,
    children: BTreeSet<String>,
    hidden: Vec<String>,
    /// Imports by their local name.
    imports: BTreeMap<String, Vec<Import>>,
    paths: BTreeSet<Segments>,
}

struct Import {
    path: Segments,
    is_for_others: bool,
}

impl Written {
    fn resolved(self, file: &str) -> Source {
        let (mut uses, mut exports) = (BTreeSet::new(), BTreeMap::<_, BTreeSet<_>>::new());
        for (name, import) in self.imports.iter().flat_map(|(name, all)| all.iter().map(move |it| (name, it)))
        {
            for whole in self.whole(&import.path, 0) {
                if import.is_for_others {
                    exports.entry(name.clone()).or_default().insert(whole.clone());
                }
                if !import.is_for_others || !whole.starts_with(&self.module) {
                    uses.insert(whole);
                }
            }
        }
        // A single segment is a local name, unless it is imported.
        let named = self.paths.iter().filter(|path| path.len() > 1 || self.imports.contains_key(&path[0]));
        uses.extend(named.flat_map(|path| self.whole(path, 0)));
        Source { file: file.to_owned(), module: self.module, uses, exports, hidden: self.hidden }
    }

    /// All possible meanings of a path, resolved from the crate root. Its first segment may be an import, whose path
    /// may begin with another import.
    fn whole(&self, path: &[String], depth: usize) -> Vec<Segments> {
        let (first, rest) = (&path[0], &path[1..]);
        let is_child = self.children.contains(first);
        // A function or a macro may have the same name as a child or a crate.
        let is_import = |import: &&Import| import.path[0] != *first && (rest.is_empty() || !is_child);
        let imports: Vec<_> = self.imports.get(first).into_iter().flatten().filter(is_import).collect();
        if !imports.is_empty() && depth < 8 {
            let beginnings = imports.iter().map(|import| [&import.path, rest].concat());
            return beginnings.flat_map(|path| self.whole(&path, depth + 1)).collect();
        }
        let is_own = is_child || first == "self" || first == "super";
        let mut whole = if is_own { self.module.clone() } else { Segments::new() };
        for segment in path {
            match segment.as_str() {
                "self" => {}
                "super" => drop(whole.pop()),
                _ => whole.push(segment.clone()),
            }
        }
        vec![whole]
    }

    fn note_use(&mut self, tree: &UseTree, before: &[String], is_for_others: bool) {
        let with = |name: &syn::Ident| [before, &[name.to_string()]].concat();
        let (name, known_as) = match tree {
            UseTree::Path(path) => return self.note_use(&path.tree, &with(&path.ident), is_for_others),
            UseTree::Group(group) => {
                return group.items.iter().for_each(|it| self.note_use(it, before, is_for_others));
            }
            UseTree::Glob(_) => {
                let glob = format!("{}::* hides what is used: name it", before.join("::"));
                return self.hidden.push(glob);
            }
            UseTree::Name(name) => (&name.ident, &name.ident),
            UseTree::Rename(rename) => (&rename.ident, &rename.rename),
        };
        let path = if name == "self" { before.to_vec() } else { with(name) };
        let known_as = match known_as.to_string().as_str() {
            "self" => path[path.len() - 1].clone(),
            // A trait that is imported for its methods only.
            "_" => path.join("::"),
            name => name.to_owned(),
        };
        self.imports.entry(known_as).or_default().push(Import { path, is_for_others });
    }

    /// Collects everything that looks like a path, also in string literals: `#[serde(with = "a::b")]`.
    fn note_tokens(&mut self, mut at: Cursor<'_>) {
        while let Some((_, mut next)) = at.token_tree() {
            if let Some((inside, ..)) = at.any_group() {
                self.note_tokens(inside);
            } else if let Some((path, after)) = path_at(at) {
                self.paths.insert(path);
                next = after;
            } else if let Some((text, _)) = at.literal() {
                let path = syn::parse_str::<syn::Path>(text.to_string().trim_matches('"'));
                path.iter().for_each(|path| self.visit_path(path));
            } else if at.punct().is_some_and(|(it, _)| it.as_char() == '.') {
                // A field or a method.
                next = next.ident().map_or(next, |(_, after)| after);
            }
            at = next;
        }
    }
}

/// The path that begins here, and the position after it.
fn path_at(at: Cursor<'_>) -> Option<(Segments, Cursor<'_>)> {
    let (first, mut at) = at.ident()?;
    let mut path = vec![first.to_string()];
    while let Some((segment, after)) = after_colons(at).and_then(Cursor::ident) {
        path.push(segment.to_string());
        at = after;
    }
    Some((path, at))
}

fn after_colons(at: Cursor<'_>) -> Option<Cursor<'_>> {
    let (first, at) = at.punct()?;
    let (second, at) = at.punct()?;
    (first.as_char() == ':' && second.as_char() == ':').then_some(at)
}

impl<'ast> Visit<'ast> for Written {
    #[expect(clippy::wildcard_enum_match_arm, reason = "no other item of the program is for tests alone")]
    fn visit_item(&mut self, item: &'ast Item) {
        // Other code for tests only is in a module of tests.
        let is_for_tests = match item {
            Item::Mod(item) => item.attrs.iter().any(is_test),
            Item::Use(item) => item.attrs.iter().any(is_test),
            Item::Fn(item) => item.attrs.iter().any(is_test),
            Item::Impl(item) => item.attrs.iter().any(is_test),
            _ => false,
        };
        if !is_for_tests {
            visit::visit_item(self, item);
        }
    }

    fn visit_item_mod(&mut self, item: &'ast ItemMod) {
        let name = item.ident.to_string();
        if item.content.is_some() {
            self.hidden.push(format!("give the module {name} a file"));
        } else {
            self.children.insert(name);
        }
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        self.note_use(&item.tree, &[], !matches!(item.vis, Visibility::Inherited));
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        self.paths.insert(path.segments.iter().map(|it| it.ident.to_string()).collect());
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, item: &'ast Macro) {
        self.note_tokens(TokenBuffer::new2(item.tokens.clone()).begin());
        visit::visit_macro(self, item);
    }

    fn visit_meta_list(&mut self, list: &'ast MetaList) {
        self.note_tokens(TokenBuffer::new2(list.tokens.clone()).begin());
        visit::visit_meta_list(self, list);
    }

    fn visit_vis_restricted(&mut self, _: &'ast VisRestricted) {
        // A visibility is not a use.
    }
}

fn is_test(attribute: &Attribute) -> bool {
    let syn::Meta::List(list) = &attribute.meta else { return attribute.path().is_ident("test") };
    list.path.is_ident("cfg") && list.tokens.to_string() == "test"
}
