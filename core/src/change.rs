//! A change's header, read from raw bytes without a document.
