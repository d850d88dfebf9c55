//! Golden files: what each provider is sent.

#[cfg(test)]
mod cases;
