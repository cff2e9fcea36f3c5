//! A new migration is a reason to compile this crate again, though no Rust file changed.

fn main() {
    println!("cargo:rerun-if-changed=migrations");
}
