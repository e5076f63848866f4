//! The attribute macro of `afield`. Applications use it as `afield::model` and never name this crate.
//!
//! | module | what it holds |
//! | --- | --- |
//! | `attributes` | what may be written inside `#[model(…)]`, and what to do instead of what may not |
//! | `field` | one field, how it is read and what its absence says |
//! | `shape` | structs and variants, seen as a map, a list or their inner value |
//! | `record` | the code for a struct |
//! | `union` | the code for an enum |
//! | `bounds` | which bounds a generic model's implementations need |
//!
//! The generated code names `::afield::typed::support` alone, so an application depends on `afield` and on neither
//! autosurgeon nor automerge. Its meaning (what is read for an absent field, what is written) is told there.

mod attributes;
mod bounds;
mod field;
mod record;
mod shape;
mod union;

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Item, parse_macro_input};

/// Makes a struct or an enum the typed form of an entity, or of a part of one.
///
/// See `afield::typed` for what is read and written. In short:
///
/// | Rust | in the document |
/// | --- | --- |
/// | struct with named fields | map |
/// | tuple struct | list, each element known by its position |
/// | struct with one unnamed field | its inner value |
/// | enum variant without data | string |
/// | enum variant with data | map `{"Variant": data}` |
///
/// On the item: `#[model(rename_all = "camelCase")]` (also `PascalCase`, `snake_case`, `kebab-case`,
/// `SCREAMING_SNAKE_CASE`, `lowercase`). On a field:
///
/// - `#[model(rename = "name")]`: the name in the document, also on a variant;
/// - `#[model(key)]`: the identity of an element in a list, so that an edit is written to the element it was made on.
///   On the inner value of a variant with one unnamed field it says that the identity of that value is meant;
/// - `#[model(default = "path::to::function")]`: what an absent field reads as, in place of `Default::default()`;
/// - `#[model(required)]`: an absent field is an error.
///
/// On one variant without data: `#[model(other)]`, which stands for every variant that a newer version may have
/// written.
#[proc_macro_attribute]
pub fn model(arguments: proc_macro::TokenStream, item: proc_macro::TokenStream) -> proc_macro::TokenStream {
    let mut item = parse_macro_input!(item as Item);
    let implementations = implement(arguments.into(), &mut item).unwrap_or_else(|error| error.to_compile_error());
    // After a mistake, too, the item stands as written, so that the compiler reports the mistake alone.
    quote!(#item #implementations).into()
}

/// Takes the attributes of the macro off the item and gives the implementations of `Hydrate` and `Reconcile`.
fn implement(arguments: TokenStream, item: &mut Item) -> syn::Result<TokenStream> {
    let container = attributes::Container::parse(arguments);
    match item {
        Item::Struct(item) => {
            let shape = shape::Shape::take(&mut item.fields);
            record::implement(item, &container?, &shape?)
        }
        Item::Enum(item) => {
            let variants = union::Variant::take_all(item);
            union::implement(item, &container?, &variants?)
        }
        other => Err(syn::Error::new_spanned(other, "a model is a struct or an enum")),
    }
}

#[cfg(test)]
mod tests;
