"""From trained captioner to what is served: captions, ranked beside those of pictures that look alike."""
