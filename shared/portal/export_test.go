package portal

// Route is a route as tests see it.
type Route struct {
	Method, Pattern string
	Open, Operators bool
}

// Routes are those of the portal.
func Routes() (all []Route) {
	for _, r := range routes {
		all = append(all, Route{r.method, r.pattern, r.access == open, r.access == ofOperator})
	}
	return all
}

// Snippets are the keys of the languages.
func Snippets() (keys []string) {
	for _, s := range snippets {
		keys = append(keys, s.Key)
	}
	return keys
}
