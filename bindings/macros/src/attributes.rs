//! What may be written inside `#[model(…)]`.

use proc_macro2::{Span, TokenStream};
use syn::{Attribute, ExprPath, Ident, LitStr, meta::ParseNestedMeta, parse::Parser};

/// What stands in `#[model(…)]` on the item itself.
#[derive(Default)]
pub(crate) struct Container {
    pub(crate) case: Option<Case>,
}

impl Container {
    pub(crate) fn parse(arguments: TokenStream) -> syn::Result<Self> {
        let mut container = Self::default();
        let parser = syn::meta::parser(|meta| {
            if !meta.path.is_ident("rename_all") {
                return Err(meta.error("unknown option of a model: only `rename_all = \"…\"` stands here"));
            }
            let text: LitStr = meta.value()?.parse()?;
            container.case = Some(Case::parse(&text)?);
            Ok(())
        });
        parser.parse2(arguments)?;
        Ok(container)
    }

    /// The name in the document of a field or variant that is not renamed itself.
    pub(crate) fn name(&self, ident: &Ident) -> String {
        let name = ident.to_string();
        let name = name.strip_prefix("r#").unwrap_or(&name);
        self.case.map_or_else(|| name.to_owned(), |case| case.apply(name))
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
    pub(crate) presence: Presence,
    /// Where the presence was given, if it was.
    pub(crate) presence_at: Option<Span>,
}

impl FieldOptions {
    /// Takes the `model` attributes out of `attributes`.
    pub(crate) fn take(attributes: &mut Vec<Attribute>) -> syn::Result<Self> {
        let mut options = Self::default();
        take(attributes, |meta| {
            if meta.path.is_ident("rename") {
                options.rename = Some(rename(&meta)?);
            } else if meta.path.is_ident("key") {
                options.key = Some(span(&meta));
            } else if meta.path.is_ident("default") {
                let path: LitStr =
                    meta.value().and_then(|value| value.parse()).map_err(|_| {
                        meta.error("write `default = \"path::to::function\"`; without it an absent field is already Default::default()")
                    })?;
                options.presence(&meta, Presence::Function(path.parse()?))?;
            } else if meta.path.is_ident("required") {
                options.presence(&meta, Presence::Required)?;
            } else {
                return Err(meta.error(
                    "unknown option of a field: write `rename = \"…\"`, `key`, `default = \"…\"` or `required`",
                ));
            }
            Ok(())
        })?;
        Ok(options)
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
    /// Takes the `model` attributes out of `attributes`.
    pub(crate) fn take(attributes: &mut Vec<Attribute>) -> syn::Result<Self> {
        let mut options = Self::default();
        take(attributes, |meta| {
            if meta.path.is_ident("rename") {
                options.rename = Some(rename(&meta)?);
            } else if meta.path.is_ident("other") {
                options.other = Some(span(&meta));
            } else {
                return Err(meta.error("unknown option of a variant: write `rename = \"…\"` or `other`"));
            }
            Ok(())
        })?;
        Ok(options)
    }
}

fn take(
    attributes: &mut Vec<Attribute>,
    mut option: impl FnMut(ParseNestedMeta<'_>) -> syn::Result<()>,
) -> syn::Result<()> {
    let mut result = Ok(());
    attributes.retain(|attribute| {
        if !attribute.path().is_ident("model") {
            return true;
        }
        if let Err(error) = attribute.parse_nested_meta(&mut option) {
            combine(&mut result, error);
        }
        false
    });
    result
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
