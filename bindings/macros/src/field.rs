//! One field of a struct or variant.

use crate::attributes::{FieldOptions, Names, Presence};
use proc_macro2::{Delimiter, Group, Span, TokenStream, TokenTree};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::{ExprPath, Ident, Member, Type, spanned::Spanned};

/// One field of a struct or variant.
pub(crate) struct Field {
    pub(crate) member: Member,
    /// The name by which a pattern binds the field.
    pub(crate) binding: Ident,
    pub(crate) ty: Type,
    pub(crate) options: FieldOptions,
}

impl Field {
    /// Reads a field and its attributes.
    pub(crate) fn read_from(index: usize, field: &syn::Field) -> syn::Result<Self> {
        let options = FieldOptions::read(&field.attrs)?;
        Ok(Self {
            member: field.ident.clone().map_or_else(|| Member::from(index), Member::Named),
            binding: format_ident!("__field_{index}"),
            ty: field.ty.clone(),
            options,
        })
    }

    /// The name in the document.
    pub(crate) fn name(&self, names: Names) -> String {
        match (&self.options.rename, &self.member) {
            (Some(rename), _) => rename.value(),
            (None, Member::Named(ident)) => names.of(ident),
            (None, Member::Unnamed(index)) => index.index.to_string(),
        }
    }

    pub(crate) fn name_span(&self) -> Span {
        self.options.rename.as_ref().map_or_else(|| self.member.span(), |rename| rename.span())
    }

    /// Whether its own type stands in the document.
    pub(crate) fn is_stored_as_itself(&self) -> bool {
        self.options.skip.is_none() && self.options.with.is_none()
    }

    /// A function that the type of the field has by a trait.
    fn function(&self, of: &str, name: &str) -> TokenStream {
        let (ty, at) = (&self.ty, Place::of(&self.ty));
        let (of, name) = (Ident::new(of, at.end), Ident::new(name, at.end));
        quote_spanned!(at.start=> <#ty as __support::#of>::#name)
    }

    /// A call of a function that the type of the field has as a field.
    fn call(&self, name: &str, arguments: TokenStream) -> TokenStream {
        Place::of(&self.ty).call(&self.function("Field", name), arguments)
    }

    /// An expression for what gives the value of the field while it is absent, unless that is an error.
    fn absent(&self) -> Option<TokenStream> {
        match &self.options.presence {
            Presence::Default => Some(self.function("Absent", "absent")),
            Presence::Function(path) => Some(quote!(#path)),
            Presence::Required => None,
        }
    }

    /// An expression that reads the field from the container `__object` of `__document`, or fails.
    pub(crate) fn read(&self, property: &TokenStream) -> TokenStream {
        let (ty, expected, way) = (&self.ty, type_text(&self.ty), self.way());
        let (function, default) = match self.absent() {
            Some(absent) => ("defaulted", Some(absent)),
            None => ("required", None),
        };
        let (at, default) = (Place::of(ty), default.into_iter());
        let function = Ident::new(function, at.start);
        let close = quote_spanned!(at.end=> >);
        let function = quote_spanned!(at.start=> __support::#function::<#ty, __D #close);
        at.call(&function, quote!(__document, __object, #property.into(), #expected, #way #(, #default)*))
    }

    /// An expression for the value of a skipped field.
    pub(crate) fn skipped(&self) -> Option<TokenStream> {
        self.options.skip?;
        self.absent().map(|absent| quote!(#absent()))
    }

    /// A function that reads the type of the field.
    pub(crate) fn way(&self) -> TokenStream {
        match &self.options.with {
            Some(with) => {
                let read = function(with, "read");
                quote!(|__document: &__D, __object: &_, __property: __support::Prop<'_>| {
                    __support::converted(__document, __object, __property, #read)
                })
            }
            None => {
                let (function, end) = (self.function("Field", "read"), Place::of(&self.ty).end);
                let document = quote!(__D);
                let document = quote_spanned!(end=> ::<#document>);
                quote!(#function #document)
            }
        }
    }

    /// An expression that reads the field from the map `__object` of `__document`.
    pub(crate) fn read_map(&self) -> TokenStream {
        self.call("read_map", quote!(__document, __object))
    }

    /// An expression for the field, of which `value` is a reference, before the `rest` of a chain.
    pub(crate) fn entry(&self, name: &str, value: &TokenStream, rest: &TokenStream) -> TokenStream {
        let absent = self.absent();
        let Some(written) = self.converted(value) else {
            let absent = optional(absent);
            return self.call("entry", quote!(#value, #name, #absent, #rest));
        };
        let absent = optional(absent.map(|absent| {
            let (ty, written) = (&self.ty, self.converted(&quote!(&__absent)));
            quote!(|| {
                let __absent: #ty = #absent();
                #written
            })
        }));
        quote!(__support::stored_as(#name, #written, #absent, #rest))
    }

    /// An expression for the field, of which `value` is a reference, as it stands for the whole of what holds it.
    pub(crate) fn alone(&self, value: &TokenStream) -> TokenStream {
        match self.converted(value) {
            Some(written) => quote!(__support::Owned(#written)),
            None => self.call("alone", value.clone()),
        }
    }

    /// An expression for the key that the field is, of which `value` is a reference.
    pub(crate) fn key(&self, value: &TokenStream) -> TokenStream {
        match self.converted(value) {
            Some(written) => quote!(__support::Field::as_key(&#written)),
            None => self.call("as_key", value.clone()),
        }
    }

    /// An expression for the key that the field of this name is, in the map at `property` of `__object`.
    pub(crate) fn read_key(&self, name: &str, property: &TokenStream) -> TokenStream {
        let (ty, way, key) = (&self.ty, self.way(), self.key(&quote!(__key)));
        let (at, arguments) = (Place::of(ty), quote!(__document, __object, #property, #name, #way, |__key: &#ty| #key));
        at.call(&at.function(quote!(__support::key_under)), arguments)
    }

    /// An expression for the key of the value of the field, of which `value` is a reference.
    pub(crate) fn inner_key(&self, value: &TokenStream) -> TokenStream {
        self.call("inner_key", value.clone())
    }

    /// An expression for the key of the value at `property` of `__object`, read as the value of the field.
    pub(crate) fn read_inner_key(&self, property: &TokenStream) -> TokenStream {
        self.call("read_inner_key", quote!(__document, __object, #property))
    }

    /// An expression for what the field's module stores, where it has one.
    fn converted(&self, value: &TokenStream) -> Option<TokenStream> {
        self.options.with.as_ref().map(|with| {
            let write = function(with, "write");
            quote_spanned!(with.span()=> #write(#value))
        })
    }
}

/// Where generated code about a type stands: from the type's first token to its last, so that a mistake is shown
/// there, and once: of equal ones at one place the compiler shows one.
///
/// The names of variables do not stand there. They must be found where they were made, and a type may come out of
/// another macro.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    start: Span,
    end: Span,
}

impl Place {
    pub(crate) fn of(ty: &Type) -> Self {
        let mut spans = ty.to_token_stream().into_iter().map(|token| token.span());
        let start = spans.next().unwrap_or_else(Span::call_site);
        Self { start, end: spans.last().unwrap_or(start) }
    }

    /// A call of a function in this place.
    pub(crate) fn call(self, function: &TokenStream, arguments: TokenStream) -> TokenStream {
        let mut arguments = Group::new(Delimiter::Parenthesis, arguments);
        arguments.set_span(self.end);
        quote!(#function #arguments)
    }

    /// A function of the library, in this place.
    pub(crate) fn function(self, path: TokenStream) -> TokenStream {
        let mut tokens: Vec<TokenTree> = path.into_iter().collect();
        tokens.iter_mut().for_each(|token| token.set_span(self.start));
        if let Some(last) = tokens.last_mut() {
            last.set_span(self.end);
        }
        tokens.into_iter().collect()
    }
}

fn optional(expression: Option<TokenStream>) -> TokenStream {
    match expression {
        Some(expression) => quote!(::core::option::Option::Some(#expression)),
        None => quote!(::core::option::Option::None),
    }
}

/// The function of a module.
fn function(module: &ExprPath, name: &str) -> ExprPath {
    let mut path = module.clone();
    path.path.segments.push(Ident::new(name, module.span()).into());
    path
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
                    Delimiter::Parenthesis => ("(", ")"),
                    Delimiter::Bracket => ("[", "]"),
                    Delimiter::Brace => ("{", "}"),
                    Delimiter::None => ("", ""),
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
