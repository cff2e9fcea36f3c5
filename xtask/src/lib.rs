//! Is the house tidy? Rules of `ARCHITECTURE.md` and `CONTRIBUTING.md` that a program can check, as tests.

#[cfg(test)]
mod house;
#[cfg(test)]
mod tidy;
