//! Writes the OpenAPI document to standard output: `cargo run --release -p qd-api --example openapi > docs/openapi.json`.

fn main() {
    print!("{}", qd_api::openapi());
}
