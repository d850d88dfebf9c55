//! The keeper against a source that answers by a list, in made-up time.
