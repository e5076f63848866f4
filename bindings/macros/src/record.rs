//! The code for a struct.

use crate::{
    attributes::Container,
    field::Field,
    implementation::{Code, Key, MapKey, reads_container},
    shape::{self, Shape},
};
use proc_macro2::TokenStream;
use quote::quote;
use syn::Ident;

/// What reads and writes a struct.
pub(crate) fn code(ident: &Ident, container: &Container, shape: &Shape) -> syn::Result<Code> {
    let names = container.names;
    shape.check_names(names)?;
    let Some(written) = shape::write(shape, names, own) else {
        let hint = format!("a struct without fields holds no data: write `struct {ident} {{}}` for an empty map");
        return Err(syn::Error::new_spanned(ident, hint));
    };
    let whole = |reads| quote!(::core::result::Result::Ok(Self { #reads }));
    let read = match shape {
        Shape::Unit => quote!(),
        Shape::Inner(field) => read_inner(field),
        Shape::List(fields) => reads_container(&quote!(hydrate_seq), &whole(shape::read_list(fields))),
        Shape::Map(fields) => reads_container(&quote!(hydrate_map), &whole(shape::read_map(fields, names))),
    };
    let key = match shape {
        Shape::Inner(field) => {
            if let Some(key) = field.options.key {
                let hint = "a type with one unnamed field is its inner value, and so is its identity: leave `key` out";
                return Err(syn::Error::new(key, hint));
            }
            let key = || Key { own: field.inner_key(&own(field)), read: field.read_inner_key(&quote!(__property)) };
            field.is_stored_as_itself().then(key)
        }
        _ => shape.key().map(|field| Key {
            own: field.key(&own(field)),
            read: field.read_key(&field.name(names), &quote!(__property)),
        }),
    };
    let write = shape.call(quote!(__support::Reconcile::reconcile), quote!(&#written, __reconciler));
    Ok(Code { read, write, key, map_key: map_key(shape) })
}

fn read_inner(field: &Field) -> TokenStream {
    let way = field.way();
    // A value that is stored as one of another type is no map, and so not the root of an entity.
    let map = field.is_stored_as_itself().then(|| {
        let read = field.read_map();
        reads_container(&quote!(hydrate_map), &quote!(#read.map(Self)))
    });
    quote! {
        fn hydrate<__D: __support::ReadDoc>(
            __document: &__D,
            __object: &__support::ObjId,
            __property: __support::Prop<'_>,
        ) -> ::core::result::Result<Self, __support::HydrateError> {
            (#way)(__document, __object, __property).map(Self)
        }
        #map
    }
}

fn map_key(shape: &Shape) -> Option<MapKey> {
    let Shape::Inner(field) = shape else { return None };
    let ty = &field.ty;
    field.is_stored_as_itself().then(|| MapKey {
        to: quote!(<#ty as __support::MapKey>::to_key(&self.0)),
        from: quote!(<#ty as __support::MapKey>::from_key(__key).map(Self)),
        of: Some(ty.clone()),
    })
}

fn own(field: &Field) -> TokenStream {
    let member = &field.member;
    quote!(&self.#member)
}
