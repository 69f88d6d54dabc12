"""mialib: membership inference by shadow models (Shokri, Stronati, Song, Shmatikov, IEEE S&P 2017)."""
