//! The code for a struct.

use crate::{
    attributes::Container,
    bounds,
    field::Field,
    shape::{self, Shape},
};
use proc_macro2::TokenStream;
use quote::quote;
use syn::ItemStruct;

/// The implementations of `Hydrate` and `Reconcile` for a struct.
pub(crate) fn implement(item: &ItemStruct, container: &Container, shape: &Shape) -> syn::Result<TokenStream> {
    bounds::check(&item.generics)?;
    shape.check_names(container)?;
    let (hydrate, reconcile) = match shape {
        Shape::Unit => {
            let hint =
                format!("a struct without fields holds no data: write `struct {} {{}}` for an empty map", item.ident);
            return Err(syn::Error::new_spanned(&item.ident, hint));
        }
        Shape::Inner(field) => {
            if let Some(key) = field.options.key {
                let hint = "a type with one unnamed field is its inner value, and so is its identity: leave `key` out";
                return Err(syn::Error::new(key, hint));
            }
            (hydrate_inner(field), reconcile_inner(field))
        }
        Shape::List(fields) => (hydrate_list(fields), reconcile_list(fields, container)),
        Shape::Map(fields) => (hydrate_map(fields, container), reconcile_map(shape, fields, container)),
    };

    let ident = &item.ident;
    let reading = bounds::hydrate(ident, &item.generics, shape.fields().iter());
    let writing = bounds::reconcile(ident, &item.generics, shape.fields().iter());
    let (_, arguments, _) = item.generics.split_for_impl();
    let (reading_parameters, _, reading_bounds) = reading.split_for_impl();
    let (writing_parameters, _, writing_bounds) = writing.split_for_impl();
    Ok(quote! {
        #[automatically_derived]
        impl #reading_parameters ::afield::typed::support::Hydrate for #ident #arguments #reading_bounds {
            #hydrate
        }
        #[automatically_derived]
        impl #writing_parameters ::afield::typed::support::Reconcile for #ident #arguments #writing_bounds {
            #reconcile
        }
    })
}

fn hydrate_map(fields: &[Field], container: &Container) -> TokenStream {
    let reads = shape::read_map(fields, container);
    quote! {
        fn hydrate_map<__D: ::afield::typed::support::ReadDoc>(
            __document: &__D,
            __object: &::afield::typed::support::ObjId,
        ) -> ::core::result::Result<Self, ::afield::typed::support::HydrateError> {
            ::core::result::Result::Ok(Self { #reads })
        }
    }
}

fn hydrate_list(fields: &[Field]) -> TokenStream {
    let reads = shape::read_list(fields);
    quote! {
        fn hydrate_seq<__D: ::afield::typed::support::ReadDoc>(
            __document: &__D,
            __object: &::afield::typed::support::ObjId,
        ) -> ::core::result::Result<Self, ::afield::typed::support::HydrateError> {
            ::core::result::Result::Ok(Self { #reads })
        }
    }
}

/// Every way of reading the type leads to the same way of reading its inner value.
fn hydrate_inner(field: &Field) -> TokenStream {
    let ty = &field.ty;
    let ways = [
        (quote!(hydrate_bool), quote!(bool)),
        (quote!(hydrate_bytes), quote!(&[u8])),
        (quote!(hydrate_f64), quote!(f64)),
        (quote!(hydrate_counter), quote!(i64)),
        (quote!(hydrate_int), quote!(i64)),
        (quote!(hydrate_uint), quote!(u64)),
        (quote!(hydrate_string), quote!(&str)),
        (quote!(hydrate_timestamp), quote!(i64)),
    ];
    let scalars = ways.iter().map(|(method, argument)| {
        quote! {
            fn #method(__value: #argument) -> ::core::result::Result<Self, ::afield::typed::support::HydrateError> {
                <#ty as ::afield::typed::support::Hydrate>::#method(__value).map(Self)
            }
        }
    });
    let way = field.way();
    let objects = [quote!(hydrate_map), quote!(hydrate_seq), quote!(hydrate_text)];
    let objects = objects.iter().map(|method| {
        quote! {
            fn #method<__D: ::afield::typed::support::ReadDoc>(
                __document: &__D,
                __object: &::afield::typed::support::ObjId,
            ) -> ::core::result::Result<Self, ::afield::typed::support::HydrateError> {
                <#ty as ::afield::typed::support::Hydrate>::#method(__document, __object).map(Self)
            }
        }
    });
    quote! {
        fn hydrate<__D: ::afield::typed::support::ReadDoc>(
            __document: &__D,
            __object: &::afield::typed::support::ObjId,
            __property: ::afield::typed::support::Prop<'_>,
        ) -> ::core::result::Result<Self, ::afield::typed::support::HydrateError> {
            (#way)(__document, __object, __property).map(Self)
        }
        fn hydrate_unknown(
            __code: u8,
            __bytes: &[u8],
        ) -> ::core::result::Result<Self, ::afield::typed::support::HydrateError> {
            <#ty as ::afield::typed::support::Hydrate>::hydrate_unknown(__code, __bytes).map(Self)
        }
        fn hydrate_none() -> ::core::result::Result<Self, ::afield::typed::support::HydrateError> {
            <#ty as ::afield::typed::support::Hydrate>::hydrate_none().map(Self)
        }
        #(#scalars)*
        #(#objects)*
    }
}

fn reconcile_map(shape: &Shape, fields: &[Field], container: &Container) -> TokenStream {
    let chain = shape::write(fields, container, own);
    let key = shape.key().map_or_else(
        || {
            quote!(
                type Key<'__k> = ::afield::typed::support::NoKey;
            )
        },
        |field| reconcile_key(field, container),
    );
    quote! {
        #key
        fn reconcile<__R: ::afield::typed::support::Reconciler>(
            &self,
            __reconciler: __R,
        ) -> ::core::result::Result<(), __R::Error> {
            ::afield::typed::support::Reconcile::reconcile(&::afield::typed::support::AsMap(#chain), __reconciler)
        }
    }
}

fn reconcile_key(field: &Field, container: &Container) -> TokenStream {
    let (ty, member, name) = (&field.ty, &field.member, field.name(container));
    quote! {
        type Key<'__k> = ::std::borrow::Cow<'__k, #ty>;
        fn hydrate_key<'__k, __D: ::afield::typed::support::ReadDoc>(
            __document: &__D,
            __object: &::afield::typed::support::ObjId,
            __property: ::afield::typed::support::Prop<'_>,
        ) -> ::core::result::Result<
            ::afield::typed::support::LoadKey<Self::Key<'__k>>,
            ::afield::typed::support::ReconcileError,
        > {
            ::afield::typed::support::hydrate_key(__document, __object, __property, #name.into())
        }
        fn key(&self) -> ::afield::typed::support::LoadKey<Self::Key<'_>> {
            ::afield::typed::support::LoadKey::Found(::std::borrow::Cow::Borrowed(&self.#member))
        }
    }
}

fn reconcile_list(fields: &[Field], container: &Container) -> TokenStream {
    let chain = shape::write(fields, container, own);
    quote! {
        type Key<'__k> = ::afield::typed::support::NoKey;
        fn reconcile<__R: ::afield::typed::support::Reconciler>(
            &self,
            __reconciler: __R,
        ) -> ::core::result::Result<(), __R::Error> {
            ::afield::typed::support::Reconcile::reconcile(&::afield::typed::support::AsList(#chain), __reconciler)
        }
    }
}

fn reconcile_inner(field: &Field) -> TokenStream {
    let ty = &field.ty;
    quote! {
        type Key<'__k> = <#ty as ::afield::typed::support::Reconcile>::Key<'__k>;
        fn reconcile<__R: ::afield::typed::support::Reconciler>(
            &self,
            __reconciler: __R,
        ) -> ::core::result::Result<(), __R::Error> {
            <#ty as ::afield::typed::support::Reconcile>::reconcile(&self.0, __reconciler)
        }
        fn hydrate_key<'__k, __D: ::afield::typed::support::ReadDoc>(
            __document: &__D,
            __object: &::afield::typed::support::ObjId,
            __property: ::afield::typed::support::Prop<'_>,
        ) -> ::core::result::Result<
            ::afield::typed::support::LoadKey<Self::Key<'__k>>,
            ::afield::typed::support::ReconcileError,
        > {
            <#ty as ::afield::typed::support::Reconcile>::hydrate_key(__document, __object, __property)
        }
        fn key(&self) -> ::afield::typed::support::LoadKey<Self::Key<'_>> {
            <#ty as ::afield::typed::support::Reconcile>::key(&self.0)
        }
    }
}

fn own(field: &Field) -> TokenStream {
    let member = &field.member;
    quote!(&self.#member)
}
