//! Structs and variants, seen as a map, a list or their inner value.

use crate::attributes::{Container, FieldOptions, Presence, combine};
use proc_macro2::{Span, TokenStream, TokenTree};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::{Fields, Ident, Member, Type, spanned::Spanned};

/// One field of a struct or variant.
pub(crate) struct Field {
    pub(crate) member: Member,
    /// The name by which a pattern binds the field.
    pub(crate) binding: Ident,
    pub(crate) ty: Type,
    pub(crate) options: FieldOptions,
}

/// How the fields of a struct or variant stand in the document.
pub(crate) enum Shape {
    /// No data at all.
    Unit,
    /// The value of the only, unnamed field.
    Inner(Box<Field>),
    /// A list, one element for each unnamed field.
    List(Vec<Field>),
    /// A map, one key for each named field.
    Map(Vec<Field>),
}

impl Shape {
    /// Reads the fields and takes the attributes of the macro off them.
    pub(crate) fn take(fields: &mut Fields) -> syn::Result<Self> {
        let mut found = Vec::new();
        let mut result = Ok(());
        for (index, field) in fields.iter_mut().enumerate() {
            match FieldOptions::take(&mut field.attrs)
                .and_then(|options| refuse_unreadable(&field.ty).map(|()| options))
            {
                Ok(options) => found.push(Field {
                    member: field.ident.clone().map_or_else(|| Member::from(index), Member::Named),
                    binding: format_ident!("__field_{index}"),
                    ty: field.ty.clone(),
                    options,
                }),
                Err(error) => combine(&mut result, error),
            }
        }
        result?;
        match fields {
            Fields::Unit => Ok(Self::Unit),
            Fields::Named(_) => checked_map(found).map(Self::Map),
            Fields::Unnamed(_) => unnamed(found),
        }
    }

    pub(crate) fn fields(&self) -> &[Field] {
        match self {
            Self::Unit => &[],
            Self::Inner(field) => std::slice::from_ref(&**field),
            Self::List(fields) | Self::Map(fields) => fields,
        }
    }

    /// The field that carries the identity.
    pub(crate) fn key(&self) -> Option<&Field> {
        self.fields().iter().find(|field| field.options.key.is_some())
    }

    /// Refuses two fields of one name.
    pub(crate) fn check_names(&self, container: &Container) -> syn::Result<()> {
        let Self::Map(fields) = self else { return Ok(()) };
        let mut seen = std::collections::BTreeSet::new();
        for field in fields {
            let name = field.name(container);
            if !seen.insert(name.clone()) {
                return Err(syn::Error::new(
                    field.name_span(),
                    format!("two fields are named \"{name}\" in the document: rename one of them"),
                ));
            }
        }
        Ok(())
    }
}

/// Refuses `Option<Box<…>>`, which autosurgeon writes and then cannot read.
fn refuse_unreadable(ty: &Type) -> syn::Result<()> {
    let text = type_text(ty);
    if ["Option<Box<", "Option<std::boxed::Box<", "Option<::std::boxed::Box<"].iter().any(|form| text.contains(form)) {
        return Err(syn::Error::new_spanned(
            ty,
            "an Option of a Box cannot be read from a document: write Box<Option<…>>",
        ));
    }
    Ok(())
}

fn checked_map(fields: Vec<Field>) -> syn::Result<Vec<Field>> {
    let mut keys = fields.iter().filter_map(|field| field.options.key);
    match (keys.next(), keys.next()) {
        (Some(_), Some(second)) => Err(syn::Error::new(second, "an element has one key: mark one field only")),
        _ => Ok(fields),
    }
}

fn unnamed(mut fields: Vec<Field>) -> syn::Result<Shape> {
    for field in &fields {
        if let Some(rename) = &field.options.rename {
            return Err(syn::Error::new_spanned(rename, "an unnamed field has no name in the document"));
        }
    }
    if fields.len() != 1 {
        return match fields.iter().find_map(|field| field.options.key) {
            Some(key) => {
                Err(syn::Error::new(key, "a key needs a named field: elements of a tuple are known by position"))
            }
            None => Ok(Shape::List(fields)),
        };
    }
    let mut field = fields.remove(0);
    match field.options.presence_at {
        Some(at) => Err(syn::Error::new(
            at,
            "a type with one unnamed field is its inner value: say at the field that holds it what its absence means",
        )),
        None => {
            field.options.presence = Presence::Required;
            Ok(Shape::Inner(Box::new(field)))
        }
    }
}

impl Field {
    /// The name in the document.
    pub(crate) fn name(&self, container: &Container) -> String {
        match (&self.options.rename, &self.member) {
            (Some(rename), _) => rename.value(),
            (None, Member::Named(ident)) => container.name(ident),
            (None, Member::Unnamed(index)) => index.index.to_string(),
        }
    }

    fn name_span(&self) -> Span {
        self.options.rename.as_ref().map_or_else(|| self.member.span(), |rename| rename.span())
    }

    /// An expression for what gives the value of the field while it is absent, unless that is an error.
    fn absent(&self) -> TokenStream {
        let ty = &self.ty;
        match &self.options.presence {
            Presence::Default => {
                let function = quote_spanned!(ty.span()=> <#ty as ::afield::typed::support::Absent>::absent);
                quote!(::core::option::Option::Some(#function))
            }
            Presence::Function(path) => quote!(::core::option::Option::Some(#path)),
            Presence::Required => quote!(::core::option::Option::None),
        }
    }

    /// An expression that reads the field from the container `__object` of `__document`.
    fn read(&self, property: &TokenStream) -> TokenStream {
        let ty = &self.ty;
        let expected = type_text(ty);
        let span = ty.span();
        match &self.options.presence {
            Presence::Default => quote_spanned! {span=>
                ::afield::typed::support::defaulted::<#ty, __D>(__document, __object, #property, #expected)?
            },
            Presence::Function(path) => quote_spanned! {span=>
                ::afield::typed::support::defaulted_by::<#ty, __D>(__document, __object, #property, #expected, #path)?
            },
            Presence::Required => quote_spanned! {span=>
                ::afield::typed::support::required::<#ty, __D>(__document, __object, #property, #expected)?
            },
        }
    }
}

/// `member: value` for every field of a map, read from `__object`.
pub(crate) fn read_map(fields: &[Field], container: &Container) -> TokenStream {
    let reads = fields.iter().map(|field| {
        let member = &field.member;
        let name = field.name(container);
        let value = field.read(&quote!(#name));
        quote!(#member: #value)
    });
    quote!(#(#reads),*)
}

/// `index: value` for every element of a list, read from `__object`.
pub(crate) fn read_list(fields: &[Field]) -> TokenStream {
    let reads = fields.iter().enumerate().map(|(position, field)| {
        let member = &field.member;
        let value = field.read(&quote!(#position));
        quote!(#member: #value)
    });
    quote!(#(#reads),*)
}

/// A chain of the fields with their names, each given by `access`.
pub(crate) fn write(fields: &[Field], container: &Container, access: impl Fn(&Field) -> TokenStream) -> TokenStream {
    fields.iter().rev().fold(quote!(::afield::typed::support::End), |rest, field| {
        let name = field.name(container);
        let value = access(field);
        let absent = field.absent();
        quote!(::afield::typed::support::Field::new(#name, #value, #absent, #rest))
    })
}

/// A type as a person writes it, for error messages.
pub(crate) fn type_text(ty: &Type) -> String {
    let mut text = String::new();
    write_tokens(ty.to_token_stream(), &mut text);
    text
}

fn write_tokens(tokens: TokenStream, text: &mut String) {
    for token in tokens {
        match token {
            TokenTree::Group(group) => {
                let (open, close) = match group.delimiter() {
                    proc_macro2::Delimiter::Parenthesis => ("(", ")"),
                    proc_macro2::Delimiter::Bracket => ("[", "]"),
                    proc_macro2::Delimiter::Brace => ("{", "}"),
                    proc_macro2::Delimiter::None => ("", ""),
                };
                text.push_str(open);
                write_tokens(group.stream(), text);
                text.push_str(close);
            }
            TokenTree::Punct(punct) if matches!(punct.as_char(), ',' | ';') => {
                text.push(punct.as_char());
                text.push(' ');
            }
            TokenTree::Ident(ident) => {
                if text.ends_with(|last: char| last.is_alphanumeric() || last == '_') {
                    text.push(' ');
                }
                text.push_str(&ident.to_string());
            }
            other => text.push_str(&other.to_string()),
        }
    }
}
