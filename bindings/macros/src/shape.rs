//! Structs and variants, seen as a map, a list or their inner value.

use crate::{
    attributes::{Container, Presence, combine},
    field::Field,
};
use proc_macro2::TokenStream;
use quote::quote;
use syn::Fields;

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
            match Field::take(index, field) {
                Ok(field) => found.push(field),
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

/// `member: value` for every field of a map, read from `__object`.
pub(crate) fn read_map(fields: &[Field], container: &Container) -> TokenStream {
    let reads = fields.iter().map(|field| {
        let member = &field.member;
        let name = field.name(container);
        let value = field.read(&quote!(#name));
        quote!(#member: #value?)
    });
    quote!(#(#reads),*)
}

/// `index: value` for every element of a list, read from `__object`.
pub(crate) fn read_list(fields: &[Field]) -> TokenStream {
    let reads = fields.iter().enumerate().map(|(position, field)| {
        let member = &field.member;
        let value = field.read(&quote!(#position));
        quote!(#member: #value?)
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
