//! What is new: followed, streamed, and what came to the public listener.
mod changes;
mod erased_pushes;
mod events;
mod followers;
mod gaps;
mod pushes;
mod stream;
mod stream_ends;
