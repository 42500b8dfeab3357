//! Style as a test: what the compiler and Clippy do not check.

mod tidy {
    mod boundaries;
    mod edge;
    mod licences;
    mod protocol_page;
    mod sizes;
    mod tree;
}
