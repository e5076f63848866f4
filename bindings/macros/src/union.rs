//! The code for an enum.

use crate::{
    attributes::{Container, VariantOptions, combine},
    bounds,
    field::Field,
    shape::{self, Shape},
};
use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use std::collections::BTreeSet;
use syn::{Ident, ItemEnum};

/// One variant of an enum.
pub(crate) struct Variant {
    ident: Ident,
    options: VariantOptions,
    shape: Shape,
}

impl Variant {
    /// Reads the variants and takes the attributes of the macro off them and off their fields.
    pub(crate) fn take_all(item: &mut ItemEnum) -> syn::Result<Vec<Self>> {
        let mut variants = Vec::new();
        let mut result = Ok(());
        for variant in &mut item.variants {
            let options = VariantOptions::take(&mut variant.attrs);
            let shape = Shape::take(&mut variant.fields);
            match (options, shape) {
                (Ok(options), Ok(shape)) => variants.push(Self { ident: variant.ident.clone(), options, shape }),
                (options, shape) => {
                    for error in [options.err(), shape.err()].into_iter().flatten() {
                        combine(&mut result, error);
                    }
                }
            }
        }
        result.map(|()| variants)
    }

    fn name(&self, container: &Container) -> String {
        self.options.rename.as_ref().map_or_else(|| container.name(&self.ident), syn::LitStr::value)
    }

    fn has_data(&self) -> bool {
        !matches!(self.shape, Shape::Unit)
    }

    /// A pattern that binds every field by its binding.
    fn pattern(&self) -> TokenStream {
        let ident = &self.ident;
        let fields = self.shape.fields().iter().map(|Field { member, binding, .. }| quote!(#member: #binding));
        quote!(Self::#ident { #(#fields),* })
    }
}

/// The implementations of `Hydrate` and `Reconcile` for an enum.
pub(crate) fn implement(item: &ItemEnum, container: &Container, variants: &[Variant]) -> syn::Result<TokenStream> {
    bounds::check(&item.generics)?;
    check(item, container, variants)?;
    // The case of the container is that of its variants, as serde has it; fields of variants keep theirs.
    let fields_as_written = Container::default();
    let union = Union { container, fields: &fields_as_written, variants };
    let (hydrate, reconcile, key) = (union.hydrate(), union.reconcile(), union.key());

    let ident = &item.ident;
    let fields = || variants.iter().flat_map(|variant| variant.shape.fields());
    let reading = bounds::hydrate(ident, &item.generics, fields());
    let writing = bounds::reconcile(ident, &item.generics, fields());
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
            #key
            #reconcile
        }
    })
}

fn check(item: &ItemEnum, container: &Container, variants: &[Variant]) -> syn::Result<()> {
    if variants.is_empty() {
        return Err(syn::Error::new_spanned(&item.ident, "an enum without variants has no value to store"));
    }
    let (mut names, mut other) = (BTreeSet::new(), None);
    for variant in variants {
        variant.shape.check_names(&Container::default())?;
        let name = variant.name(container);
        if !names.insert(name.clone()) {
            let hint = format!("two variants are named \"{name}\" in the document: rename one of them");
            return Err(syn::Error::new_spanned(&variant.ident, hint));
        }
        let Some(at) = variant.options.other else { continue };
        if variant.has_data() {
            return Err(syn::Error::new(at, "`other` stands for what this version cannot read, so it holds no data"));
        }
        if other.replace(at).is_some() {
            return Err(syn::Error::new(at, "one variant stands for all unknown ones: mark one only"));
        }
    }
    Ok(())
}

/// An enum with what is needed to name its parts.
struct Union<'a> {
    container: &'a Container,
    fields: &'a Container,
    variants: &'a [Variant],
}

impl Union<'_> {
    fn with_data(&self) -> impl Iterator<Item = (usize, &Variant)> {
        self.variants.iter().filter(|variant| variant.has_data()).enumerate()
    }

    /// The names of the variants with data, as an array expression.
    fn names_with_data(&self) -> TokenStream {
        let names = self.with_data().map(|(_, variant)| variant.name(self.container));
        quote!(&[#(#names),*])
    }

    fn hydrate(&self) -> TokenStream {
        let names: Vec<_> = self.variants.iter().map(|variant| variant.name(self.container)).collect();
        let expected = format!("one of the variants {}", names.join(", "));
        let unknown = self.variants.iter().find(|variant| variant.options.other.is_some()).map_or_else(
            || quote!(::core::result::Result::Err(::afield::typed::support::unknown_variant(#expected))),
            |Variant { ident, .. }| quote!(::core::result::Result::Ok(Self::#ident)),
        );
        let units = self.variants.iter().filter(|variant| !variant.has_data()).map(|variant| {
            let (ident, name) = (&variant.ident, variant.name(self.container));
            quote!(#name => ::core::result::Result::Ok(Self::#ident))
        });
        let names_with_data = self.names_with_data();
        let data = self.with_data().map(|(index, variant)| {
            let read = self.read(variant);
            quote!(::core::option::Option::Some(#index) => { #read })
        });
        quote! {
            fn hydrate_string(__name: &str) -> ::core::result::Result<Self, ::afield::typed::support::HydrateError> {
                match __name {
                    #(#units,)*
                    _ => #unknown,
                }
            }
            fn hydrate_map<__D: ::afield::typed::support::ReadDoc>(
                __document: &__D,
                __object: &::afield::typed::support::ObjId,
            ) -> ::core::result::Result<Self, ::afield::typed::support::HydrateError> {
                match ::afield::typed::support::latest_variant(__document, __object, #names_with_data)? {
                    #(#data)*
                    _ => #unknown,
                }
            }
        }
    }

    /// Reads a variant with data out of the enum's map `__object`.
    fn read(&self, variant: &Variant) -> TokenStream {
        let (ident, name) = (&variant.ident, variant.name(self.container));
        match &variant.shape {
            Shape::Unit => quote!(::core::result::Result::Ok(Self::#ident)),
            Shape::Inner(field) => {
                let read = field.read(&quote!(#name));
                quote!(#read.map(Self::#ident))
            }
            Shape::List(fields) => {
                let reads = shape::read_list(fields);
                quote! {
                    let __object = &::afield::typed::support::list_at(__document, __object, #name)?;
                    ::core::result::Result::Ok(Self::#ident { #reads })
                }
            }
            Shape::Map(fields) => {
                let reads = shape::read_map(fields, self.fields);
                quote! {
                    let __object = &::afield::typed::support::map_at(__document, __object, #name)?;
                    ::core::result::Result::Ok(Self::#ident { #reads })
                }
            }
        }
    }

    fn reconcile(&self) -> TokenStream {
        let names = self.names_with_data();
        let arms = self.variants.iter().map(|variant| {
            let (pattern, name) = (variant.pattern(), variant.name(self.container));
            let bound = |field: &Field| {
                let binding = &field.binding;
                quote!(#binding)
            };
            let data = match &variant.shape {
                Shape::Unit => return quote!(#pattern => __reconciler.str(#name)),
                Shape::Inner(field) => bound(field),
                Shape::List(fields) => {
                    let chain = shape::write(fields, self.fields, bound);
                    quote!(::afield::typed::support::AsList(#chain))
                }
                Shape::Map(fields) => {
                    let chain = shape::write(fields, self.fields, bound);
                    quote!(::afield::typed::support::AsMap(#chain))
                }
            };
            quote!(#pattern => ::afield::typed::support::put_variant(__reconciler, #names, #name, #data))
        });
        quote! {
            fn reconcile<__R: ::afield::typed::support::Reconciler>(
                &self,
                #[allow(unused_mut)] mut __reconciler: __R,
            ) -> ::core::result::Result<(), __R::Error> {
                match self {
                    #(#arms,)*
                }
            }
        }
    }

    /// The identity: that of the variant's key field, told apart by variant.
    fn key(&self) -> TokenStream {
        let keyed: Vec<(usize, &Variant, &Field)> = self
            .with_data()
            .filter_map(|(index, variant)| variant.shape.key().map(|field| (index, variant, field)))
            .collect();
        if keyed.is_empty() {
            return quote!(
                type Key<'__k> = ::afield::typed::support::NoKey;
            );
        }
        let ty = keyed.iter().rev().fold(quote!(::afield::typed::support::NoKey), |rest, (_, variant, field)| {
            let ty = &field.ty;
            let own = match variant.shape {
                Shape::Inner(_) => quote!(<#ty as ::afield::typed::support::Reconcile>::Key<'__k>),
                _ => quote!(::std::borrow::Cow<'__k, #ty>),
            };
            quote!(::afield::typed::support::Either<#own, #rest>)
        });
        let reads = keyed.iter().enumerate().map(|(position, (index, variant, field))| {
            let name = variant.name(self.container);
            let side = side(position);
            let read = match variant.shape {
                Shape::Inner(_) => {
                    let ty = &field.ty;
                    quote!(<#ty as ::afield::typed::support::Reconcile>::hydrate_key(__document, &__object, #name.into()))
                }
                _ => {
                    let key = field.name(self.fields);
                    quote!(::afield::typed::support::hydrate_key(__document, &__object, #name.into(), #key.into()))
                }
            };
            quote!(#index => #read.map(|__key| __key.map(|__key| #side)))
        });
        let own = keyed.iter().enumerate().map(|(position, (_, variant, field))| {
            let (pattern, binding, side) = (variant.pattern(), &field.binding, side(position));
            let key = match variant.shape {
                Shape::Inner(_) => quote!(::afield::typed::support::Reconcile::key(#binding)),
                _ => quote!(::afield::typed::support::LoadKey::Found(::std::borrow::Cow::Borrowed(#binding))),
            };
            quote!(#[allow(unused_variables)] #pattern => #key.map(|__key| #side))
        });
        let names = self.names_with_data();
        quote! {
            type Key<'__k> = #ty;
            fn hydrate_key<'__k, __D: ::afield::typed::support::ReadDoc>(
                __document: &__D,
                __object: &::afield::typed::support::ObjId,
                __property: ::afield::typed::support::Prop<'_>,
            ) -> ::core::result::Result<
                ::afield::typed::support::LoadKey<Self::Key<'__k>>,
                ::afield::typed::support::ReconcileError,
            > {
                let ::core::option::Option::Some((__variant, __object)) =
                    ::afield::typed::support::variant_at(__document, __object, __property, #names)?
                else {
                    return ::core::result::Result::Ok(::afield::typed::support::LoadKey::KeyNotFound);
                };
                match __variant {
                    #(#reads,)*
                    _ => ::core::result::Result::Ok(::afield::typed::support::LoadKey::KeyNotFound),
                }
            }
            fn key(&self) -> ::afield::typed::support::LoadKey<Self::Key<'_>> {
                match self {
                    #(#own,)*
                    #[allow(unreachable_patterns)]
                    _ => ::afield::typed::support::LoadKey::KeyNotFound,
                }
            }
        }
    }
}

/// `__key` as the value of the nested `Either` at this position.
fn side(position: usize) -> TokenStream {
    let key = format_ident!("__key");
    (0..position).fold(
        quote!(::afield::typed::support::Either::Left(#key)),
        |inner, _| quote!(::afield::typed::support::Either::Right(#inner)),
    )
}
