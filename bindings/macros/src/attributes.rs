//! What may be written inside `#[model(…)]`.

use crate::hand_over::HELPER;
use proc_macro2::Span;
use syn::{Attribute, ExprPath, Ident, LitStr, Path, meta::ParseNestedMeta};

/// What stands in `#[model(…)]` on the item itself.
pub(crate) struct Container {
    pub(crate) names: Names,
    /// Where the generated code finds `afield`.
    pub(crate) library: Path,
}

impl Container {
    const KNOWN: &str = "`rename_all = \"…\"` or `crate = \"path\"`";

    /// Reads the attributes that the macro left on the item.
    pub(crate) fn read(attributes: &[Attribute]) -> syn::Result<Self> {
        let mut container = Self { names: Names::AS_WRITTEN, library: syn::parse_quote!(::afield) };
        read(attributes, |meta| container.option(&meta))?;
        Ok(container)
    }

    pub(crate) fn option(&mut self, meta: &ParseNestedMeta<'_>) -> syn::Result<()> {
        if meta.path.is_ident("rename_all") {
            let text: LitStr = meta.value()?.parse()?;
            self.names = Names(Some(Case::parse(&text)?));
        } else if meta.path.is_ident("crate") {
            let path: LitStr = meta.value()?.parse()?;
            self.library = path.parse_with(Path::parse_mod_style)?;
        } else {
            return Err(unknown(meta, "a model", Self::KNOWN));
        }
        Ok(())
    }
}

/// How what is not renamed itself is named in the document.
#[derive(Clone, Copy)]
pub(crate) struct Names(Option<Case>);

impl Names {
    /// As the code has them.
    pub(crate) const AS_WRITTEN: Self = Self(None);

    /// The name of a field or variant.
    pub(crate) fn of(self, ident: &Ident) -> String {
        let name = ident.to_string();
        let name = name.strip_prefix("r#").unwrap_or(&name);
        self.0.map_or_else(|| name.to_owned(), |case| case.apply(name))
    }
}

/// How the names of a container are written in the document.
#[derive(Clone, Copy)]
pub(crate) enum Case {
    Camel,
    Pascal,
    Snake,
    Kebab,
    ScreamingSnake,
    Lower,
}

impl Case {
    const KNOWN: [(&str, Self); 6] = [
        ("camelCase", Self::Camel),
        ("PascalCase", Self::Pascal),
        ("snake_case", Self::Snake),
        ("kebab-case", Self::Kebab),
        ("SCREAMING_SNAKE_CASE", Self::ScreamingSnake),
        ("lowercase", Self::Lower),
    ];

    fn parse(text: &LitStr) -> syn::Result<Self> {
        let value = text.value();
        Self::KNOWN.iter().find(|(name, _)| *name == value).map(|(_, case)| *case).ok_or_else(|| {
            let known: Vec<_> = Self::KNOWN.iter().map(|(name, _)| *name).collect();
            syn::Error::new_spanned(text, format!("unknown case: write one of {}", known.join(", ")))
        })
    }

    fn apply(self, name: &str) -> String {
        let words = words(name);
        match self {
            Self::Camel => match words.split_first() {
                Some((first, rest)) => first.clone() + &rest.iter().map(|word| capitalised(word)).collect::<String>(),
                None => name.to_owned(),
            },
            Self::Pascal => words.iter().map(|word| capitalised(word)).collect(),
            Self::Snake => words.join("_"),
            Self::Kebab => words.join("-"),
            Self::ScreamingSnake => words.join("_").to_uppercase(),
            Self::Lower => words.concat(),
        }
    }
}

/// The words of a Rust name in lower case, whether written `two_words` or `TwoWords`.
fn words(name: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut starts_word = true;
    for letter in name.chars() {
        if letter == '_' {
            starts_word = true;
            continue;
        }
        match words.last_mut() {
            Some(word) if !starts_word && !letter.is_uppercase() => word.extend(letter.to_lowercase()),
            _ => words.push(letter.to_lowercase().collect()),
        }
        starts_word = false;
    }
    words
}

fn capitalised(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// What a field reads as when the document does not have it.
#[derive(Default)]
pub(crate) enum Presence {
    /// `Default::default()`.
    #[default]
    Default,
    /// What the function at this path gives.
    Function(ExprPath),
    /// An error.
    Required,
}

/// What stands in `#[model(…)]` on a field.
#[derive(Default)]
pub(crate) struct FieldOptions {
    pub(crate) rename: Option<LitStr>,
    pub(crate) key: Option<Span>,
    pub(crate) skip: Option<Span>,
    /// The module that says how the field is stored.
    pub(crate) with: Option<ExprPath>,
    pub(crate) presence: Presence,
    /// Where the presence was given, if it was.
    pub(crate) presence_at: Option<Span>,
}

impl FieldOptions {
    const KNOWN: &str = "`rename = \"…\"`, `key`, `default = \"…\"`, `required`, `with = \"module\"` or `skip`";

    /// Reads the attributes that the macro left on a field.
    pub(crate) fn read(attributes: &[Attribute]) -> syn::Result<Self> {
        let mut options = Self::default();
        read(attributes, |meta| options.option(&meta))?;
        match options.skip {
            Some(at) if options.rename.is_some() || options.key.is_some() || options.with.is_some() => {
                Err(syn::Error::new(
                    at,
                    "a skipped field is not in the document: beside `skip` only `default` has a meaning",
                ))
            }
            Some(at) if matches!(options.presence, Presence::Required) => {
                Err(syn::Error::new(at, "a field is either skipped or required"))
            }
            _ => Ok(options),
        }
    }

    fn option(&mut self, meta: &ParseNestedMeta<'_>) -> syn::Result<()> {
        if meta.path.is_ident("rename") {
            self.rename = Some(rename(meta)?);
        } else if meta.path.is_ident("key") {
            self.key = Some(span(meta));
        } else if meta.path.is_ident("skip") {
            self.skip = Some(span(meta));
        } else if meta.path.is_ident("with") {
            self.with = Some(meta.value()?.parse::<LitStr>()?.parse()?);
        } else if meta.path.is_ident("default") {
            let path: LitStr = meta.value().and_then(|value| value.parse()).map_err(|_| {
                meta.error(
                    "write `default = \"path::to::function\"`; without it an absent field is already Default::default()",
                )
            })?;
            self.presence(meta, Presence::Function(path.parse()?))?;
        } else if meta.path.is_ident("required") {
            self.presence(meta, Presence::Required)?;
        } else {
            return Err(unknown(meta, "a field", Self::KNOWN));
        }
        Ok(())
    }

    fn presence(&mut self, meta: &ParseNestedMeta<'_>, presence: Presence) -> syn::Result<()> {
        if self.presence_at.is_some() {
            return Err(meta.error("a field is either required or has one default"));
        }
        self.presence_at = Some(span(meta));
        self.presence = presence;
        Ok(())
    }
}

/// What stands in `#[model(…)]` on a variant.
#[derive(Default)]
pub(crate) struct VariantOptions {
    pub(crate) rename: Option<LitStr>,
    pub(crate) other: Option<Span>,
}

impl VariantOptions {
    const KNOWN: &str = "`rename = \"…\"` or `other`";

    /// Reads the attributes that the macro left on a variant.
    pub(crate) fn read(attributes: &[Attribute]) -> syn::Result<Self> {
        let mut options = Self::default();
        read(attributes, |meta| {
            if meta.path.is_ident("rename") {
                options.rename = Some(rename(&meta)?);
            } else if meta.path.is_ident("other") {
                options.other = Some(span(&meta));
            } else {
                return Err(unknown(&meta, "a variant", Self::KNOWN));
            }
            Ok(())
        })?;
        Ok(options)
    }
}

fn read(attributes: &[Attribute], mut option: impl FnMut(ParseNestedMeta<'_>) -> syn::Result<()>) -> syn::Result<()> {
    let mut result = Ok(());
    for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident(HELPER)) {
        if let Err(error) = attribute.parse_nested_meta(&mut option) {
            combine(&mut result, error);
        }
    }
    result
}

fn unknown(meta: &ParseNestedMeta<'_>, of: &str, known: &str) -> syn::Error {
    let name = meta.path.segments.iter().map(|segment| segment.ident.to_string()).collect::<Vec<_>>().join("::");
    meta.error(format!("unknown option `{name}` of {of}: write {known}"))
}

/// Adds an error to those found before, so that all mistakes are shown at once.
pub(crate) fn combine(result: &mut syn::Result<()>, error: syn::Error) {
    match result {
        Ok(()) => *result = Err(error),
        Err(first) => first.combine(error),
    }
}

fn rename(meta: &ParseNestedMeta<'_>) -> syn::Result<LitStr> {
    let name: LitStr = meta.value()?.parse()?;
    if name.value().is_empty() {
        return Err(syn::Error::new_spanned(name, "a name in a document has at least one character"));
    }
    Ok(name)
}

fn span(meta: &ParseNestedMeta<'_>) -> Span {
    syn::spanned::Spanned::span(&meta.path)
}
