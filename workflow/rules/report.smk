# needs: what every run left under reports/, models/ and data/curated/
# makes: reports/index.html, one page for all
