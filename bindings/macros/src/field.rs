//! One field of a struct or variant.

use crate::attributes::{Container, FieldOptions, Presence};
use proc_macro2::{Span, TokenStream, TokenTree};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::{GenericArgument, Ident, Member, PathArguments, Type, spanned::Spanned};

/// One field of a struct or variant.
pub(crate) struct Field {
    pub(crate) member: Member,
    /// The name by which a pattern binds the field.
    pub(crate) binding: Ident,
    pub(crate) ty: Type,
    pub(crate) options: FieldOptions,
}

impl Field {
    /// Reads a field and takes the attributes of the macro off it.
    pub(crate) fn take(index: usize, field: &mut syn::Field) -> syn::Result<Self> {
        let options = FieldOptions::take(&mut field.attrs)?;
        refuse_unreadable(&field.ty)?;
        Ok(Self {
            member: field.ident.clone().map_or_else(|| Member::from(index), Member::Named),
            binding: format_ident!("__field_{index}"),
            ty: field.ty.clone(),
            options,
        })
    }

    /// The name in the document.
    pub(crate) fn name(&self, container: &Container) -> String {
        match (&self.options.rename, &self.member) {
            (Some(rename), _) => rename.value(),
            (None, Member::Named(ident)) => container.name(ident),
            (None, Member::Unnamed(index)) => index.index.to_string(),
        }
    }

    pub(crate) fn name_span(&self) -> Span {
        self.options.rename.as_ref().map_or_else(|| self.member.span(), |rename| rename.span())
    }

    /// An expression for what gives the value of the field while it is absent, unless that is an error.
    pub(crate) fn absent(&self) -> TokenStream {
        let ty = &self.ty;
        match &self.options.presence {
            Presence::Default => {
                quote!(::core::option::Option::Some(<#ty as ::afield::typed::support::Absent>::absent))
            }
            Presence::Function(path) => quote!(::core::option::Option::Some(#path)),
            Presence::Required => quote!(::core::option::Option::None),
        }
    }

    /// An expression that reads the field from the container `__object` of `__document`, or fails.
    pub(crate) fn read(&self, property: &TokenStream) -> TokenStream {
        let (ty, expected, way) = (&self.ty, type_text(&self.ty), self.way());
        // Only what is said about the type of the field stands where it does: the names of arguments must be found
        // where they were made, and a type may come out of another macro.
        let span = ty.span();
        let (function, default) = match &self.options.presence {
            Presence::Default => (quote_spanned!(span=> ::afield::typed::support::defaulted), None),
            Presence::Function(path) => (quote_spanned!(span=> ::afield::typed::support::defaulted_by), Some(path)),
            Presence::Required => (quote_spanned!(span=> ::afield::typed::support::required), None),
        };
        let default = default.into_iter();
        quote!(#function::<#ty, __D>(__document, __object, #property.into(), #expected, #way #(, #default)*))
    }

    /// A function that reads the type of the field.
    pub(crate) fn way(&self) -> TokenStream {
        way(&self.ty)
    }

    /// The type on whose implementation of `Hydrate` reading the field rests.
    pub(crate) fn read_as(&self) -> &Type {
        let mut ty = &self.ty;
        while let Some(inner) = option(ty) {
            ty = inner;
        }
        ty
    }
}

/// A function that reads a type. An `Option` is read here, since autosurgeon's way asks the type in it for more than
/// every type has: a `Box` in an `Option` would be written and never read.
fn way(ty: &Type) -> TokenStream {
    match option(ty) {
        Some(inner) => {
            let inner = way(inner);
            quote!(|__document: &__D, __object: &_, __property: ::afield::typed::support::Prop<'_>| {
                ::afield::typed::support::option(__document, __object, __property, #inner)
            })
        }
        None => quote!(<#ty as ::afield::typed::support::Hydrate>::hydrate::<__D>),
    }
}

/// What an `Option` holds, when a type is written as one.
fn option(ty: &Type) -> Option<&Type> {
    let Type::Path(path) = ty else { return None };
    let last = path.path.segments.last().filter(|last| last.ident == "Option")?;
    match &last.arguments {
        PathArguments::AngleBracketed(arguments) if arguments.args.len() == 1 => match arguments.args.first()? {
            GenericArgument::Type(inner) => Some(inner),
            _ => None,
        },
        _ => None,
    }
}

/// Refuses `Option<Box<…>>` inside another type, which autosurgeon writes and then cannot read.
fn refuse_unreadable(ty: &Type) -> syn::Result<()> {
    let mut inner = ty;
    while let Some(held) = option(inner) {
        inner = held;
    }
    let text = type_text(inner);
    if ["Option<Box<", "Option<std::boxed::Box<", "Option<::std::boxed::Box<"].iter().any(|form| text.contains(form)) {
        return Err(syn::Error::new_spanned(
            ty,
            "an Option of a Box inside another type cannot be read from a document: write Box<Option<…>>",
        ));
    }
    Ok(())
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
