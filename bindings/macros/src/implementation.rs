//! The implementations that both kinds of model get.

use crate::{attributes::Container, bounds, field::Field};
use proc_macro2::TokenStream;
use quote::quote;
use syn::{DeriveInput, Type, parse_quote};

/// What differs from model to model.
pub(crate) struct Code {
    /// The functions of `Hydrate`.
    pub(crate) read: TokenStream,
    /// An expression that writes `self` to `__reconciler`.
    pub(crate) write: TokenStream,
    pub(crate) key: Option<Key>,
    pub(crate) map_key: Option<MapKey>,
}

/// What an element of a list is known by.
pub(crate) struct Key {
    /// An expression for the key of `self`.
    pub(crate) own: TokenStream,
    /// An expression for the key of the value at `__property` of `__object`.
    pub(crate) read: TokenStream,
}

/// How a model is the key of a map.
pub(crate) struct MapKey {
    /// An expression for `self` as a key.
    pub(crate) to: TokenStream,
    /// An expression for what `__key` stands for.
    pub(crate) from: TokenStream,
    /// The type that has to be a key itself.
    pub(crate) of: Option<Type>,
}

/// Writes the implementations out.
pub(crate) fn implement<'f>(
    input: &DeriveInput,
    container: &Container,
    fields: impl Iterator<Item = &'f Field>,
    code: Code,
    names: Option<Vec<String>>,
) -> TokenStream {
    let (ident, library) = (&input.ident, &container.library);
    let (_, arguments, _) = input.generics.split_for_impl();
    let generics = bounds::generics(ident, &input.generics, fields);
    let (parameters, _, bounds) = generics.split_for_impl();
    let Code { read, write, key, map_key } = code;
    let names = names.map(|names| {
        quote! {
            fn field_names() -> ::core::option::Option<&'static [&'static str]> {
                ::core::option::Option::Some(&[#(#names),*])
            }
        }
    });
    let key = key.map(|key| functions_of_key(&key));
    let map_key = map_key.map(|MapKey { to, from, of }| {
        let mut generics = input.generics.clone();
        if let Some(of) = of {
            // Bound to a lifetime that it does not have, so that a type which is no key is no mistake here.
            generics.make_where_clause().predicates.push(parse_quote!(for<'__any> #of: __support::MapKey));
        }
        let (parameters, _, bounds) = generics.split_for_impl();
        quote! {
            #[automatically_derived]
            impl #parameters __support::MapKey for #ident #arguments #bounds {
                fn to_key(&self) -> ::std::borrow::Cow<'_, str> {
                    #to
                }
                fn from_key(__key: &str) -> ::core::option::Option<Self> {
                    #from
                }
            }
        }
    });
    quote! {
        const _: () = {
            use #library::typed::support as __support;

            #[automatically_derived]
            impl #parameters __support::Hydrate for #ident #arguments #bounds {
                #read
            }

            #[automatically_derived]
            impl #parameters __support::Reconcile for #ident #arguments #bounds {
                type Key<'__k> = __support::Key;
                fn reconcile<__R: __support::Reconciler>(
                    &self,
                    __reconciler: __R,
                ) -> ::core::result::Result<(), __R::Error> {
                    #write
                }
                #key
            }

            #[automatically_derived]
            impl #parameters __support::Field for #ident #arguments #bounds {
                type Key<'__k> = __support::Key;
                #names
                fn read<__D: __support::ReadDoc>(
                    __document: &__D,
                    __object: &__support::ObjId,
                    __property: __support::Prop<'_>,
                ) -> ::core::result::Result<Self, __support::HydrateError> {
                    <Self as __support::Hydrate>::hydrate(__document, __object, __property)
                }
                fn read_map<__D: __support::ReadDoc>(
                    __document: &__D,
                    __map: &__support::ObjId,
                ) -> ::core::result::Result<Self, __support::HydrateError> {
                    <Self as __support::Hydrate>::hydrate_map(__document, __map)
                }
                fn write<__R: __support::Reconciler>(
                    &self,
                    __reconciler: __R,
                ) -> ::core::result::Result<(), __R::Error> {
                    __support::Reconcile::reconcile(self, __reconciler)
                }
                fn key(&self) -> __support::LoadKey<Self::Key<'_>> {
                    __support::Reconcile::key(self)
                }
                fn read_key<'__k, __D: __support::ReadDoc>(
                    __document: &__D,
                    __object: &__support::ObjId,
                    __property: __support::Prop<'_>,
                ) -> ::core::result::Result<__support::LoadKey<Self::Key<'__k>>, __support::ReconcileError> {
                    <Self as __support::Reconcile>::hydrate_key(__document, __object, __property)
                }
                fn erased(__key: Self::Key<'_>) -> ::core::option::Option<__support::Key> {
                    ::core::option::Option::Some(__key)
                }
            }

            #map_key
        };
    }
}

fn functions_of_key(Key { own, read }: &Key) -> TokenStream {
    quote! {
        fn hydrate_key<'__k, __D: __support::ReadDoc>(
            __document: &__D,
            __object: &__support::ObjId,
            __property: __support::Prop<'_>,
        ) -> ::core::result::Result<__support::LoadKey<Self::Key<'__k>>, __support::ReconcileError> {
            #read
        }
        fn key(&self) -> __support::LoadKey<Self::Key<'_>> {
            #own
        }
    }
}

/// A function of `Hydrate` that reads a container, with this body.
pub(crate) fn reads_container(name: &TokenStream, body: &TokenStream) -> TokenStream {
    quote! {
        fn #name<__D: __support::ReadDoc>(
            __document: &__D,
            __object: &__support::ObjId,
        ) -> ::core::result::Result<Self, __support::HydrateError> {
            #body
        }
    }
}
