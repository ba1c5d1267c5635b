package simulate

// pile is a heap: none of its elements goes before the first.
type pile[T any] struct {
	all    []T
	before func(a, b T) bool
}

func (p *pile[T]) empty() bool { return len(p.all) == 0 }

func (p *pile[T]) first() T { return p.all[0] }

func (p *pile[T]) push(v T) {
	p.all = append(p.all, v)
	for i := len(p.all) - 1; i > 0; {
		parent := (i - 1) / 2
		if !p.before(p.all[i], p.all[parent]) {
			break
		}
		p.all[i], p.all[parent] = p.all[parent], p.all[i]
		i = parent
	}
}

// pop takes the first element of a pile that is not empty.
func (p *pile[T]) pop() T {
	first, last := p.all[0], len(p.all)-1
	p.all[0] = p.all[last]
	clear(p.all[last:])
	p.all = p.all[:last]
	for i := 0; ; {
		least := i
		for _, child := range [...]int{2*i + 1, 2*i + 2} {
			if child < last && p.before(p.all[child], p.all[least]) {
				least = child
			}
		}
		if least == i {
			return first
		}
		p.all[i], p.all[least] = p.all[least], p.all[i]
		i = least
	}
}
