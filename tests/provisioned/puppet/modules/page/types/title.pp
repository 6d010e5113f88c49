type Page::Title = String[1, 80]
