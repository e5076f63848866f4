//! Which bounds a generic model's implementations need.

use crate::{attributes::Presence, field::Field};
use proc_macro2::{TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::{GenericParam, Generics, Ident, Type, parse_quote};

/// Refuses lifetimes: what is read from a document is owned.
pub(crate) fn check(generics: &Generics) -> syn::Result<()> {
    generics.lifetimes().next().map_or(Ok(()), |lifetime| {
        Err(syn::Error::new_spanned(
            lifetime,
            "a model owns its data, since it is read from a document: use String in place of &str, Vec in place of slices",
        ))
    })
}

/// The generics of all implementations.
pub(crate) fn generics<'f>(ident: &Ident, generics: &Generics, fields: impl Iterator<Item = &'f Field>) -> Generics {
    bounded(ident, generics, fields, |field| {
        let stored = field.is_stored_as_itself().then(|| quote!(__support::Field));
        // What the field reads as while it is absent need not be written.
        let absent = match field.options.presence {
            Presence::Default => Some(quote!(__support::Absent)),
            _ => None,
        };
        [stored, absent].into_iter().flatten().map(|bound| (&field.ty, bound)).collect()
    })
}

/// Adds the bounds of each field on types that mention a type parameter.
///
/// A type that mentions the model itself would make the bound circular, so there the parameters are bound instead.
fn bounded<'f>(
    ident: &Ident,
    generics: &Generics,
    fields: impl Iterator<Item = &'f Field>,
    bounds: impl Fn(&'f Field) -> Vec<(&'f Type, TokenStream)>,
) -> Generics {
    let parameters: Vec<Ident> = generics.type_params().map(|parameter| parameter.ident.clone()).collect();
    let mut generics = generics.clone();
    let mut predicates: Vec<syn::WherePredicate> = Vec::new();
    for (ty, bound) in fields.flat_map(bounds) {
        let mentioned: Vec<&Ident> = parameters.iter().filter(|parameter| mentions(ty, parameter)).collect();
        if mentioned.is_empty() {
            continue;
        }
        if mentions(ty, ident) || mentions_self(ty) {
            predicates
                .extend(mentioned.iter().map(|parameter| -> syn::WherePredicate { parse_quote!(#parameter: #bound) }));
        } else {
            predicates.push(parse_quote!(#ty: #bound));
        }
    }
    for parameter in generics.params.iter_mut() {
        if let GenericParam::Type(parameter) = parameter {
            parameter.default = None;
        }
    }
    if !predicates.is_empty() {
        generics.make_where_clause().predicates.extend(predicates);
    }
    generics
}

fn mentions_self(ty: &Type) -> bool {
    mentions(ty, &Ident::new("Self", proc_macro2::Span::call_site()))
}

fn mentions(ty: &Type, ident: &Ident) -> bool {
    contains(ty.to_token_stream(), ident)
}

fn contains(tokens: TokenStream, ident: &Ident) -> bool {
    tokens.into_iter().any(|token| match token {
        TokenTree::Ident(found) => found == *ident,
        TokenTree::Group(group) => contains(group.stream(), ident),
        _ => false,
    })
}
