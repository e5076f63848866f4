//! The first of two steps: from the attribute to a derive.
//!
//! The compiler takes fields and variants away by their `cfg` before a derive sees them, and not before an attribute
//! does. So the attribute leaves the item as it is, under a derive of this crate, with its options renamed: an
//! attribute `model` of the derive would be ambiguous beside the imported macro.

use crate::attributes::{Container, combine};
use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::{Attribute, Fields, Ident, Item, Meta, Path, Token, parse::Parser, punctuated::Punctuated};

/// The name under which the derive finds the options.
pub(crate) const HELPER: &str = "__afield";

/// The item with the derive on it, and the mistakes in the arguments.
pub(crate) fn hand_over(arguments: TokenStream, mut item: Item) -> (TokenStream, syn::Result<()>) {
    let mut container = match Container::read(&[]) {
        Ok(container) => container,
        Err(error) => return (quote!(#item), Err(error)),
    };
    let mut mistakes = Ok(());
    let parsed = syn::meta::parser(|meta| container.option(&meta)).parse2(arguments.clone());
    if let Err(error) = parsed {
        combine(&mut mistakes, error);
    }
    match &mut item {
        Item::Struct(item) => rename_in_fields(&mut item.fields),
        Item::Enum(item) => {
            for variant in &mut item.variants {
                variant.attrs.iter_mut().for_each(rename);
                rename_in_fields(&mut variant.fields);
            }
        }
        other => {
            combine(&mut mistakes, syn::Error::new_spanned(&*other, "a model is a struct or an enum"));
            return (quote!(#item), mistakes);
        }
    }
    let (library, helper) = (&container.library, helper());
    let arguments = mistakes.is_ok().then_some(arguments);
    let item = quote! {
        #[derive(#library::typed::support::Model)]
        #[#helper(#arguments)]
        #item
    };
    (item, mistakes)
}

fn helper() -> Ident {
    Ident::new(HELPER, Span::call_site())
}

fn rename_in_fields(fields: &mut Fields) {
    fields.iter_mut().flat_map(|field| &mut field.attrs).for_each(rename);
}

fn rename(attribute: &mut Attribute) {
    rename_meta(&mut attribute.meta);
}

/// Renames `model`, also where it stands behind a condition in `cfg_attr`.
fn rename_meta(meta: &mut Meta) {
    if meta.path().is_ident("model") {
        let path = Path::from(Ident::new(HELPER, meta.path().get_ident().map_or_else(Span::call_site, Ident::span)));
        match meta {
            Meta::Path(own) => *own = path,
            Meta::List(list) => list.path = path,
            Meta::NameValue(pair) => pair.path = path,
        }
        return;
    }
    let Meta::List(list) = meta else { return };
    if !list.path.is_ident("cfg_attr") {
        return;
    }
    if let Ok(mut metas) = Punctuated::<Meta, Token![,]>::parse_terminated.parse2(list.tokens.clone()) {
        metas.iter_mut().skip(1).for_each(rename_meta);
        list.tokens = quote!(#metas);
    }
}
