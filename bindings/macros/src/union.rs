//! The code for an enum.

use crate::{
    attributes::{Container, Names, VariantOptions, combine},
    field::Field,
    implementation::{Code, Key, MapKey, reads_container},
    shape::{self, Shape},
};
use proc_macro2::TokenStream;
use quote::quote;
use std::collections::BTreeSet;
use syn::{DataEnum, Ident};

/// One variant of an enum.
pub(crate) struct Variant {
    ident: Ident,
    options: VariantOptions,
    pub(crate) shape: Shape,
}

impl Variant {
    /// Reads the variants, their fields and the attributes of both.
    pub(crate) fn read_all(data: &DataEnum) -> syn::Result<Vec<Self>> {
        let mut variants = Vec::new();
        let mut result = Ok(());
        for variant in &data.variants {
            let options = VariantOptions::read(&variant.attrs);
            let shape = Shape::read(&variant.fields);
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

    fn name(&self, names: Names) -> String {
        self.options.rename.as_ref().map_or_else(|| names.of(&self.ident), syn::LitStr::value)
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

/// The case of the container is that of its variants, as serde has it; fields of variants keep theirs.
const AS_WRITTEN: Names = Names::AS_WRITTEN;

/// What reads and writes an enum.
pub(crate) fn code(ident: &Ident, container: &Container, variants: &[Variant]) -> syn::Result<Code> {
    check(ident, container, variants)?;
    let union = Union { names: container.names, variants };
    Ok(Code { read: union.read(), write: union.write(), key: union.key(), map_key: union.map_key() })
}

fn check(ident: &Ident, container: &Container, variants: &[Variant]) -> syn::Result<()> {
    if variants.is_empty() {
        return Err(syn::Error::new_spanned(ident, "an enum without variants has no value to store"));
    }
    let (mut names, mut other) = (BTreeSet::new(), None);
    for variant in variants {
        variant.shape.check_names(AS_WRITTEN)?;
        let name = variant.name(container.names);
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
    names: Names,
    variants: &'a [Variant],
}

impl Union<'_> {
    fn with_data(&self) -> impl Iterator<Item = (usize, &Variant)> {
        self.variants.iter().filter(|variant| variant.has_data()).enumerate()
    }

    /// The names of the variants with data, as an array expression.
    fn names_with_data(&self) -> TokenStream {
        let names = self.with_data().map(|(_, variant)| variant.name(self.names));
        quote!(&[#(#names),*])
    }

    /// The variant that stands for unknown ones.
    fn other(&self) -> Option<&Ident> {
        self.variants.iter().find(|variant| variant.options.other.is_some()).map(|variant| &variant.ident)
    }

    /// `name => value` for each variant without data.
    fn units(&self, value: impl Fn(&Ident) -> TokenStream) -> Vec<TokenStream> {
        let units = self.variants.iter().filter(|variant| !variant.has_data());
        let arm = |variant: &Variant| {
            let (name, value) = (variant.name(self.names), value(&variant.ident));
            quote!(#name => #value)
        };
        units.map(arm).collect()
    }

    fn read(&self) -> TokenStream {
        let names: Vec<_> = self.variants.iter().map(|variant| variant.name(self.names)).collect();
        let expected = format!("one of the variants {}", names.join(", "));
        let unknown = self.other().map_or_else(
            || quote!(::core::result::Result::Err(__support::unknown_variant(#expected))),
            |ident| quote!(::core::result::Result::Ok(Self::#ident)),
        );
        let units = self.units(|ident| quote!(::core::result::Result::Ok(Self::#ident)));
        let names_with_data = self.names_with_data();
        let data = self.with_data().map(|(index, variant)| {
            let read = self.read_data(variant);
            quote!(::core::option::Option::Some(#index) => { #read })
        });
        let map = quote! {
            match __support::latest_variant(__document, __object, #names_with_data)? {
                #(#data)*
                _ => #unknown,
            }
        };
        let map = reads_container(&quote!(hydrate_map), &map);
        quote! {
            fn hydrate_string(__name: &str) -> ::core::result::Result<Self, __support::HydrateError> {
                match __name {
                    #(#units,)*
                    _ => #unknown,
                }
            }
            #map
        }
    }

    /// Reads a variant with data out of the enum's map `__object`.
    fn read_data(&self, variant: &Variant) -> TokenStream {
        let (ident, name) = (&variant.ident, variant.name(self.names));
        let (container, reads) = match &variant.shape {
            Shape::Unit => return quote!(::core::result::Result::Ok(Self::#ident)),
            Shape::Inner(field) => {
                let read = field.read(&quote!(#name));
                return quote!(#read.map(Self::#ident));
            }
            Shape::List(fields) => (quote!(list_at), shape::read_list(fields)),
            Shape::Map(fields) => (quote!(map_at), shape::read_map(fields, AS_WRITTEN)),
        };
        quote! {
            let __object = &__support::#container(__document, __object, #name)?;
            ::core::result::Result::Ok(Self::#ident { #reads })
        }
    }

    fn write(&self) -> TokenStream {
        let names = self.names_with_data();
        let arms = self.variants.iter().map(|variant| {
            let (pattern, name) = (variant.pattern(), variant.name(self.names));
            match shape::write(&variant.shape, AS_WRITTEN, bound) {
                Some(data) => {
                    let arguments = quote!(__reconciler, #names, #name, #data);
                    let put = variant.shape.call(quote!(__support::put_variant), arguments);
                    quote!(#pattern => #put)
                }
                None => quote!(#pattern => __support::put_unit(__reconciler, #name)),
            }
        });
        quote! {
            match self {
                #(#arms,)*
            }
        }
    }

    /// The identity: that of the variant's key field, told apart by variant.
    fn key(&self) -> Option<Key> {
        let keyed: Vec<_> = self
            .with_data()
            .filter_map(|(index, variant)| variant.shape.key().map(|field| (index, variant, field)))
            .collect();
        if keyed.is_empty() {
            return None;
        }
        let reads = keyed.iter().map(|(index, variant, field)| {
            let name = variant.name(self.names);
            let property = quote!(#name.into());
            let read = match variant.shape {
                Shape::Inner(_) => field.read_inner_key(&property),
                _ => field.read_key(&field.name(AS_WRITTEN), &property),
            };
            quote!(#index => #read.map(|__key| __key.map(|__key| __key.within(#name))))
        });
        let own = keyed.iter().map(|(_, variant, field)| {
            let (pattern, name) = (variant.pattern(), variant.name(self.names));
            let key = match variant.shape {
                Shape::Inner(_) => field.inner_key(&bound(field)),
                _ => field.key(&bound(field)),
            };
            quote!(#[allow(unused_variables)] #pattern => #key.map(|__key| __key.within(#name)))
        });
        let names = self.names_with_data();
        let read = quote! {
            let ::core::option::Option::Some((__variant, __object)) =
                __support::variant_at(__document, __object, __property, #names)?
            else {
                return ::core::result::Result::Ok(__support::LoadKey::KeyNotFound);
            };
            let __object = &__object;
            match __variant {
                #(#reads,)*
                _ => ::core::result::Result::Ok(__support::LoadKey::KeyNotFound),
            }
        };
        let own = quote! {
            match self {
                #(#own,)*
                #[allow(unreachable_patterns)]
                _ => __support::LoadKey::KeyNotFound,
            }
        };
        Some(Key { own, read })
    }

    /// The name of the variant, where none holds data.
    fn map_key(&self) -> Option<MapKey> {
        if self.variants.iter().any(Variant::has_data) {
            return None;
        }
        let names = self.variants.iter().map(|variant| {
            let (ident, name) = (&variant.ident, variant.name(self.names));
            quote!(Self::#ident { .. } => ::std::borrow::Cow::Borrowed(#name))
        });
        let units = self.units(|ident| quote!(::core::option::Option::Some(Self::#ident)));
        let unknown = match self.other() {
            Some(ident) => quote!(::core::option::Option::Some(Self::#ident)),
            None => quote!(::core::option::Option::None),
        };
        let to = quote!(match self { #(#names,)* });
        let from = quote!(match __key { #(#units,)* _ => #unknown, });
        Some(MapKey { to, from, of: None })
    }
}

fn bound(field: &Field) -> TokenStream {
    let binding = &field.binding;
    quote!(#binding)
}
