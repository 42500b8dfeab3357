//! Style as a test: what the compiler and Clippy do not check.

mod tidy {
    mod boundaries;
    mod circles;
    mod edge;
    mod imports;
    mod licences;
    mod limits;
    mod machines;
    mod metrics_page;
    mod protocol_page;
    mod shares;
    mod sizes;
    mod tree;
}
