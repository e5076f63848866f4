//! Durable before visible, held by a type.

/// Makes everything written so far in a transaction durable.
///
/// The device's store and the relay's logs implement this, and nothing else does; a test over the source holds it.
pub trait Commit {
    /// Why the commit failed. After a failure nothing of the transaction may be assumed to be stored.
    type Error;

    /// Commits the transaction and returns once it is on stable storage.
    ///
    /// # Errors
    ///
    /// The storage refused or failed to make the transaction durable.
    fn commit(&mut self) -> Result<(), Self::Error>;
}

/// A value whose storage has been committed: the only thing that may be sent to a peer or shown to a person.
///
/// The field is private and [`Durable::commit`] is the only constructor, so sending before storing does not compile.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "a durable value is the proof that something may be sent"]
pub struct Durable<T>(T);

impl<T> Durable<T> {
    /// Commits `transaction` and, once that has succeeded, wraps `value`.
    ///
    /// # Errors
    ///
    /// Whatever [`Commit::commit`] answers; the value is dropped then.
    pub fn commit<C: Commit>(transaction: &mut C, value: T) -> Result<Self, C::Error> {
        transaction.commit()?;
        Ok(Self(value))
    }

    /// The value.
    pub fn get(&self) -> &T {
        &self.0
    }

    /// The value, giving up the proof.
    pub fn into_inner(self) -> T {
        self.0
    }

    /// A part of the value, which is as durable as the whole.
    pub fn map<U>(self, part: impl FnOnce(T) -> U) -> Durable<U> {
        Durable(part(self.0))
    }

    /// Both values, each of which was committed by itself.
    pub fn join<U>(self, other: Durable<U>) -> Durable<(T, U)> {
        Durable((self.0, other.0))
    }
}

impl<A, B> Durable<(A, B)> {
    /// The two halves, each as durable as the whole.
    pub fn split(self) -> (Durable<A>, Durable<B>) {
        (Durable(self.0.0), Durable(self.0.1))
    }
}

impl<T> Durable<Vec<T>> {
    /// The elements, each as durable as the whole.
    pub fn into_elements(self) -> impl Iterator<Item = Durable<T>> {
        self.0.into_iter().map(Durable)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Disk {
        full: bool,
    }

    impl Commit for Disk {
        type Error = &'static str;
        fn commit(&mut self) -> Result<(), Self::Error> {
            if self.full { Err("disk full") } else { Ok(()) }
        }
    }

    #[test]
    fn a_value_is_durable_only_after_its_commit() {
        assert_eq!(Durable::commit(&mut Disk { full: false }, 7).map(Durable::into_inner), Ok(7));
        assert_eq!(Durable::commit(&mut Disk { full: true }, 7), Err("disk full"));
    }
}
